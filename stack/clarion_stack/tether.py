"""Ties a child to its parent: the child gets SIGTERM when the parent dies, kill -9 included.

Linux does this for a process that asks for it (prctl(2), PR_SET_PDEATHSIG), and keeps it across exec. So a child is
started through this file, run as a script, which asks and then becomes the program: the same pid, 10 ms later. A
`preexec_fn` would ask in a forked copy of a process with threads, which may deadlock. Elsewhere than on Linux the
program runs untied. The parent is the thread that started the child: start children from one that lives as long as
they should.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1


def tethered(command: Sequence[str]) -> list[str]:
    """The command that runs `command` tied to this process. Its first word is an absolute path."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def main(parent: int, command: Sequence[str]) -> None:
    """Ask for the signal, then become the command."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            sys.exit(1)
    os.execv(command[0], list(command))  # noqa: S606 - no shell is meant


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
