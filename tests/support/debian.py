"""Debian's packages, installed where they are missing: for tests that need programs which no Python package has."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

PEERS = ("postfix", "sasl2-bin", "libsasl2-modules", "spamassassin", "redis-server")
"""What `make test-peers` needs."""


def need(*packages: str) -> None:
    """See that these are installed; fails, and says why, where they can't be. Needs root where one is missing."""
    missing = [package for package in packages if not _is_installed(package)]
    if not missing:
        return
    assert shutil.which("apt-get"), f"{', '.join(missing)}: this machine has no apt-get to install them with"
    assert os.geteuid() == 0, (
        f"{', '.join(missing)}: not installed, and only root can: apt-get install {' '.join(missing)}"
    )
    _apt("update", "-qq")
    _apt("install", "-qq", "-y", "--no-install-recommends", *missing)


def _is_installed(package: str) -> bool:
    assert shutil.which("dpkg-query"), "this machine is no Debian"
    asked = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package], capture_output=True, text=True
    )
    return asked.stdout == "installed"


def _apt(*arguments: str) -> None:
    done = _run(["apt-get", *arguments])
    assert done.returncode == 0, f"apt-get {arguments[0]} failed:\n{done.stdout[-2_000:]}"


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
