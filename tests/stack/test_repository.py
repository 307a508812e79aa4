from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USER_TARGETS = {"help", "demo", "up", "test", "test-peers", "check", "bench", "faults", "proto", "lock", "clean"}


def make(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    # A make that runs these tests is none of this one's business.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def python_without(tmp_path: Path, what: str) -> Path:
    """A python3 on which the check for `what` fails, as it does where that is missing."""
    path = tmp_path / "python3"
    path.write_text(f'#!/bin/sh\ncase "$*" in *{what}*) exit 1;; esac\nexec {sys.executable} "$@"\n')
    path.chmod(0o755)
    return path


def test_make_alone_lists_what_there_is() -> None:
    shown = make()
    assert shown.returncode == 0
    assert set(re.findall(r"^  make ([a-z-]+) +\S", shown.stdout, re.MULTILINE)) == USER_TARGETS


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("ensurepip", "Python has no venv here: install python3-venv (apt install python3-venv)"),
        ("version_info", "Clarion needs python3 >= 3.11: make PYTHON=/path/to/python3"),
    ],
)
def test_what_is_missing_is_said_in_one_line(tmp_path: Path, missing: str, said: str) -> None:
    python, venv = python_without(tmp_path, missing), tmp_path / "venv"
    failed = make(f"PYTHON={python}", f"VENV={venv}", f"{venv}/.installed")
    assert failed.returncode != 0
    assert failed.stderr.splitlines()[0] == said
    assert failed.stdout == ""
    assert not venv.exists()


def test_the_lock_names_no_place_and_hashes_everything() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"://|index|find-links|trusted-host|file:|@ |/", lock.replace("# This file", ""))
    requirements = re.findall(r"^(\S+?)==\S+.*?(?=^\S|\Z)", lock, re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"^\S+==[^\n]*\n(?:    [^\n]*\n?)*", lock, re.MULTILINE)
    assert len(requirements) == len(blocks) > 50
    assert all("--hash=sha256:" in block for block in blocks)
