"""The counting sink that also notes when each message came, by this machine's monotonic clock, and to whom."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from typing import ClassVar

from support.fast_sink import FastSink


class TimedSink(FastSink):
    """`XTIMES n domain` answers once n messages to a domain came: a line `250-address clock` each, then `250 ok`."""

    times: ClassVar[defaultdict[str, list[tuple[str, float]]]] = defaultdict(list)  # by domain, in order
    asked: ClassVar[list[tuple[int, str, asyncio.Transport]]] = []
    _to = ("", "")

    def _command(self, line: bytes) -> bytes:
        verb = line[:4].upper()
        if verb == b"RCPT":
            address = line[line.find(b"<") + 1 : line.find(b">")].decode()
            self._to = (address, address.rpartition("@")[2])
        elif verb == b"XTIM":
            _, count, domain = line.decode().split()
            self.asked.append((int(count), domain, self._transport))
            self._tell(domain)
            return b""
        return super()._command(line)

    def _taken(self) -> None:
        address, domain = self._to
        self.times[domain].append((address, time.monotonic()))
        super()._taken()
        if self.asked:
            self._tell(domain)

    def _tell(self, domain: str) -> None:
        taken = self.times[domain]
        for entry in [entry for entry in self.asked if entry[1] == domain and entry[0] <= len(taken)]:
            self.asked.remove(entry)
            lines = [f"250-{address} {clock}\r\n" for address, clock in taken]
            entry[2].write("".join([*lines, "250 ok\r\n"]).encode())
