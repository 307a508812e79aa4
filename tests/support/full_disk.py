"""A full disk, without being root: a limit on the size of files (setrlimit(2), RLIMIT_FSIZE) fails writes beyond it.

The store is started with SIGXFSZ ignored, as every child of a Python process that does not ask otherwise, so that the
write itself fails. The limit is set from outside, on the store that runs and on its launcher, whose next children
inherit it.
"""

from __future__ import annotations

import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_NONE = resource.RLIM_INFINITY


class FullDisk:
    """`directory` is the store's, `launcher` the process that keeps it running."""

    def __init__(self, launcher: int, directory: Path) -> None:
        self._launcher, self._log = launcher, directory / "appendonlydir"

    @property
    def used(self) -> int:
        """Bytes of the file that the store adds to."""
        return max(path.stat().st_size for path in self._log.glob("*.incr.aof"))

    @contextmanager
    def with_room_for(self, size: int) -> Iterator[None]:
        """Inside, the store can add that many bytes to its log and no more."""
        most = self.used + size
        _limit([self._launcher, *filter(self._is_store, self._children())], most)
        try:
            yield
        finally:
            # The launcher first: what it starts from now on is free. All others, since a store may be on its way.
            _limit([self._launcher], _NONE)
            _limit(self._children(), _NONE)

    def _children(self) -> list[int]:
        tasks = Path(f"/proc/{self._launcher}/task").iterdir()
        return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]

    def _is_store(self, pid: int) -> bool:
        """Whether it has the store's log open."""
        with suppress(FileNotFoundError):
            return any(_target(link).parent == self._log for link in Path(f"/proc/{pid}/fd").iterdir())
        return False


def _target(link: Path) -> Path:
    with suppress(FileNotFoundError):  # closed meanwhile
        return link.readlink()
    return Path()


def _limit(pids: Iterable[int], size: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, _NONE))
