"""Where one command or answer ends and the next begins on a connection to the store (RESP2)."""

from __future__ import annotations

from collections.abc import Iterator

END = b"\r\n"


class Cutter:
    """Cuts what arrives in pieces into whole commands or answers."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Those that are whole now, each as it arrived."""
        whole = self._rest + data if self._rest else data
        at = 0
        while at < len(whole) and (end := _end(whole, at)) >= 0:
            yield whole[at:end]
            at = end
        self._rest = whole[at:]


def words(command: bytes) -> list[bytes]:
    """What a whole command says: its name and its arguments."""
    count_end = command.index(END)
    found, at = [], count_end + 2
    for _ in range(int(command[1:count_end])):
        size_end = command.index(END, at)
        start = size_end + 2
        at = start + int(command[at + 1 : size_end]) + 2
        found.append(command[start : at - 2])
    return found


def _end(data: bytes, at: int) -> int:
    """Where the value that begins here ends; -1 while it is not whole."""
    line_end = data.find(END, at)
    if line_end < 0:
        return -1
    kind, after = data[at : at + 1], line_end + 2
    if kind in b"+-:":
        return after
    size = int(data[at + 1 : line_end])
    if kind == b"$":
        end = after + size + 2 if size >= 0 else after
        return end if end <= len(data) else -1
    if kind != b"*":
        raise ValueError(f"not RESP2: {data[at : at + 20]!r}")
    for _ in range(size):
        after = _end(data, after)
        if after < 0:
            return -1
    return after
