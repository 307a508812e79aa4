"""Peers' environments: made on demand in `.cache/peers/NAME`, of exactly what their lock files say.

Packages come from the indexes that pip and npm are configured for. An environment is made anew once its lock file, or
the Python or Node under it, is another one.
"""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.processes import BenchError
from support.node import node_binary, npm_ci, wheel_node

HERE = Path(__file__).parent
CACHE = HERE.parents[2] / ".cache/peers"
_STAMP = ".installed"


def python_environment(name: str) -> Path:
    """A virtual environment of `requirements.txt`: where its programs are."""
    place, lock = CACHE / name, HERE / name / "requirements.txt"

    def install() -> None:
        _checked(name, [sys.executable, "-m", "venv", "--clear", str(place)])
        pip = [str(place / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _checked(name, [*pip, "--require-hashes", "--requirement", str(lock)])

    _once(place, lock, platform.python_version(), install)
    return place / "bin"


def node_environment(name: str) -> Path:
    """A copy of the peer's files beside the packages of `package-lock.json`: Node looks for packages beside a file."""
    place, source = CACHE / name, HERE / name

    def install() -> None:
        done = npm_ci(node_binary(), place)  # the machine's npm, where there is one, knows the machine's index
        if done.returncode:
            raise BenchError(f"the packages of {name} could not be installed: {_last_line(done.stderr)}")

    shutil.copytree(source, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
    _once(place, source / "package-lock.json", str(wheel_node()), install)
    return place


def _once(place: Path, lock: Path, under: str, install: Callable[[], None]) -> None:
    wanted = hashlib.sha256(lock.read_bytes() + under.encode()).hexdigest()
    stamp = place / _STAMP
    if stamp.exists() and stamp.read_text() == wanted:
        return
    stamp.unlink(missing_ok=True)
    place.mkdir(parents=True, exist_ok=True)
    install()
    stamp.write_text(wanted)


def _checked(name: str, command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"the packages of {name} could not be installed: {_last_line(done.stderr or done.stdout)}")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no word"])[-1]
