"""The counting sink, with a pause before it answers a message's final dot: a server far away, or a thoughtful one."""

from __future__ import annotations

import asyncio

from support.fast_sink import FastSink

TAKEN = b"250 2.0.0 taken\r\n"


def slow_sink(answer_s: float) -> type[FastSink]:
    """Sinks that answer each message after so many seconds. What follows the dot meanwhile waits, in order."""

    class SlowSink(FastSink):
        _held: bytes | None = None

        def data_received(self, data: bytes) -> None:
            if self._held is not None:
                self._held += data
                return
            data = self._rest + data
            end = data.find(b"\r\n.\r\n") if self._in_data or b"DATA\r\n" in data else -1
            if end < 0:
                self._rest = b""
                super().data_received(data)
                return
            self._rest, self._held = b"", data[end + 5 :]
            self._quietly(data[: end + 5])
            asyncio.get_running_loop().call_later(answer_s, self._answer_dot)

        def _quietly(self, data: bytes) -> None:
            """Take a message, and answer all but its dot."""
            before, self._transport = self._transport, _Written()  # type: ignore[assignment]  # it collects
            super().data_received(data)
            written, self._transport = self._transport, before
            answers = bytes(written.data).removesuffix(TAKEN)  # type: ignore[attr-defined]
            if answers:
                self._transport.write(answers)

        def _answer_dot(self) -> None:
            held, self._held = self._held or b"", None
            if self._transport.is_closing():
                return
            self._transport.write(TAKEN)
            if held:
                self.data_received(held)

    return SlowSink


class _Written:
    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> None:
        self.data += data
