"""More calls than a server can answer: they come when they come, whether or not the ones before are answered.

What a caller does is what gRPC's clients do: it says its deadline, holds calls back while the server allows no more
streams or reads no more, and gives up at the deadline, where a call that was made is cancelled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

from benchmarks.h2 import Connection, framed

CONNECTIONS = 32
_TICK_S = 0.005
_STREAMS = 1 << 31


@dataclass(frozen=True, slots=True, kw_only=True)
class Flooded:
    """What became of the calls that came: answered with a message in time, answered without one, given up."""

    good: int
    refused: int
    given_up: int


async def flood(
    target: str, method: str, messages: Sequence[bytes], *, seconds: float, rate: float, patience_s: int
) -> Flooded:
    """Let calls come at this rate for so long, from callers that wait `patience_s` each."""
    host, _, port = target.rpartition(":")
    loop = asyncio.get_running_loop()
    endless = cycle([framed(message) for message in messages])
    arrivals = _Arrivals(rate, seconds, patience_s)
    made = [
        await loop.create_connection(lambda: _Caller(method, target, endless, arrivals), host, int(port))
        for _ in range(CONNECTIONS)
    ]
    callers = [caller for _, caller in made]
    try:
        while not arrivals.over or any(caller.in_flight for caller in callers):
            for caller in callers:
                caller.pump()
            callers.append(callers.pop(0))  # nobody is always the first
            await asyncio.sleep(_TICK_S)
    finally:
        for transport, _ in made:
            transport.close()
    good, refused = sum(caller.good for caller in callers), sum(caller.bad for caller in callers)
    return Flooded(good=good, refused=refused, given_up=arrivals.total - good - refused)


class _Arrivals:
    """Who came and has not called yet; who waits longer than their patience goes away."""

    def __init__(self, rate: float, seconds: float, patience_s: float) -> None:
        self._rate, self.patience_s = rate, patience_s
        self.total = round(rate * seconds)
        self._started = time.perf_counter()
        self.until = self._started + seconds
        self._gone = 0  # called, or away

    @property
    def over(self) -> bool:
        """Whether nobody will call any more."""
        return self._gone >= self.total or time.perf_counter() > self.until + self.patience_s

    def take(self) -> bool:
        """Whether somebody is there to call."""
        now = time.perf_counter()
        self._gone = max(self._gone, self._came(now - self.patience_s))
        if self._came(now) <= self._gone:
            return False
        self._gone += 1
        return True

    def _came(self, clock: float) -> int:
        return self.total if clock >= self.until else max(0, int(self._rate * (clock - self._started)))


class _Caller(Connection):
    def __init__(self, method: str, authority: str, messages: Iterator[bytes], arrivals: _Arrivals) -> None:
        deadline = {b"grpc-timeout": f"{arrivals.patience_s}S"}
        super().__init__(method, authority, messages, _STREAMS, arrivals.until, deadline)
        self._arrivals = arrivals
        self._begun: dict[int, float] = {}

    def may_begin(self) -> bool:
        return self._arrivals.take()

    def began(self, stream: int) -> None:
        self._begun[stream] = time.perf_counter()

    def ended(self, stream: int, answered: bool) -> None:
        del self._begun[stream]
        super().ended(stream, answered)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._begun.clear()

    def pump(self) -> None:
        late = time.perf_counter() - self._arrivals.patience_s
        while self._begun and self._begun[stream := next(iter(self._begun))] < late:
            del self._begun[stream]
            self.cancel(stream)
        super().pump()
