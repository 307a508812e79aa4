"""A directory that one process at a time may use, and sockets in it."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
import time
from pathlib import Path

from clarion_stack.errors import InUse

# sun_path holds 108 bytes on Linux and 104 elsewhere, the final NUL included (unix(7)).
LONGEST_SOCKET_PATH = 103

# A server whose launcher was killed gets SIGTERM from the kernel and needs a moment.
ORPHAN_TIMEOUT_S = 15.0


class DirectoryLock:
    """A lock on a directory, held by this process and by every child that inherits `fd`.

    The kernel keeps it (flock(2)), so none is left behind however its holders end.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._fd: int | None = None

    @property
    def fd(self) -> int:
        """The descriptor that holds the lock; only while it is taken."""
        if self._fd is None:
            raise RuntimeError("the lock is not taken")
        return self._fd

    def take(self) -> None:
        """Take it; again is fine. InUse at once if a living process took it, or if its orphan does not end."""
        if self._fd is not None:
            return
        fd = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + ORPHAN_TIMEOUT_S
        while not _locked(fd):
            holder = int(os.pread(fd, 20, 0) or b"0")
            if _lives(holder) or time.monotonic() > deadline:
                os.close(fd)
                raise InUse(self._directory, holder)
            time.sleep(0.02)
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Give it back; a child that inherited it keeps it. Nothing if it is not taken."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def short_path(directory: Path, name: str) -> Path:
    """Where a socket called `name` for `directory` goes: into it, or where its path would be too long for a socket,
    into a private directory made for it, which a file in `directory` remembers.
    """
    path = directory / name
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    remembered = directory / f"{name}.directory"
    if not (remembered.exists() and _is_private(Path(remembered.read_text()))):
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        remembered.write_text(tempfile.mkdtemp(prefix="clarion-", dir=runtime if os.path.isdir(runtime) else None))
    return Path(remembered.read_text()) / name


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0


def _is_private(path: Path) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
