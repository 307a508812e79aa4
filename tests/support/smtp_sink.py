"""An SMTP server that does as it is told: for tests in this process, and as a process of its own.

A stage of a session (`greeting`, `ehlo`, `auth`, `mail`, `rcpt`, `data`, `content`, `dot`) can be made to misbehave:

- by address, so that a process needs no further instruction: the local part `{stage}-{action}` with an optional
  `-once` (the first time only) and `+anything`, as in `rcpt-550+7@example.com` or `dot-drop-once+x@example.com`;
  the sender's local part rules `mail`, a recipient's everything after it;
- by rule: `sink.script("dot", "drop", nth=3)` for the third message begun, or every one without `nth`.

Actions: a code (`451`), `hang` (no answer ever), `drop` (the connection is cut), `slow` (an answer after 0.2 s), `hold`
(no answer, nothing more is read, and it is said that the stage was reached), `tell` (the usual, and it is said), or a
whole reply line (rules only). `content` comes after 354 and before the content is read; `dot` after it was recorded.

As a process: `python -m support.smtp_sink --port 0` prints `{"port": …}` and runs until SIGTERM. `XWAIT n` answers
`250 count clock` once n messages were taken: `clock` is this machine's monotonic clock when the n-th or a later one
was. For `hold` and `tell` it prints `{"event": "reached", "stage": …, "name": …, "to": […]}`, `name` as in the EHLO.
`--fast` counts and does nothing else, for benchmarks; with `--times` it also answers `XTIMES n domain`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import ssl
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TextIO

from support.fast_sink import FastSink
from support.slow_sink import slow_sink
from support.smtp_dialogue import SCRIPTED, Dialogue, Dropped, Features, Received
from support.timed_sink import TimedSink

__all__ = ["Features", "Received", "SmtpSink", "wait_for_process"]

LIMIT = 64 * 1024 * 1024


class SmtpSink:
    """`async with SmtpSink() as sink`: listens on `sink.port` of 127.0.0.1 and records into `sink.messages`."""

    def __init__(
        self,
        features: Features | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        port: int = 0,
        log: TextIO | None = None,
        brief: bool = False,
        told: TextIO | None = None,
    ) -> None:
        self.features = features or Features()
        self.port = port
        self.messages: list[Received] = []
        self.connections = 0
        self.open = 0
        self.begun = 0  # envelopes
        self.commands: Counter[str] = Counter()
        self.early = 0  # commands that came before the reply to the one before them
        self.quits = 0
        self.clock = 0.0
        self.slow_s = 0.2
        self.changed = asyncio.Condition()
        self.released = asyncio.Event()  # set, hanging stages end by a dropped connection
        self._tls, self._implicit_tls, self._log = tls, implicit_tls, log
        self._brief, self._told = brief, told
        self._rules: dict[tuple[str, int], str] = {}
        self._once: set[tuple[str, str]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def script(self, stage: str, action: str, *, nth: int = 0) -> None:
        """Make a stage misbehave for the nth message begun (of the connection stages: the nth connection), or each."""
        self._rules[stage, nth] = action

    def heal(self) -> None:
        """Forget all rules."""
        self._rules.clear()

    async def wait_for(self, count: int) -> list[Received]:
        """The messages, once there are that many."""
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.messages) >= count)
        return self.messages

    async def wait_until_hanging_up(self, open_connections: int = 0) -> None:
        """Return once no more than that many connections are open."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.open <= open_connections)

    async def wait_for_connections(self, count: int) -> None:
        """Return once so many connections were made."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.connections >= count)

    async def wait_for_command(self, verb: str, count: int = 1) -> None:
        """Return once that command was seen that many times."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.commands[verb] >= count)

    async def drop_all(self) -> None:
        """Cut every open connection."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def __aenter__(self) -> SmtpSink:
        """Start listening."""
        tls = self._tls if self._implicit_tls else None
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=tls, limit=LIMIT)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and cut what is open."""
        self._server.close()
        await self.drop_all()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        await self.tell()
        try:
            await Dialogue(self, reader, writer, self.connections).run(self._tls)
        except (Dropped, ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            writer.transport.abort()
        finally:
            writer.close()
            with suppress(OSError, TimeoutError):  # a TLS handshake that broke never tells its end
                await asyncio.wait_for(writer.wait_closed(), 0.5)
            self._tasks.discard(task)
            self.open -= 1
            await self.tell()

    async def tell(self) -> None:
        """Wake those that wait for something to have happened."""
        async with self.changed:
            self.changed.notify_all()

    async def take(self, message: Received) -> int:
        """Record a message; how many there are now, which is what the reply calls it (`queued as S1`)."""
        self.messages.append(message)
        number = len(self.messages)
        self.clock = time.monotonic()
        if self._log:
            line = {
                "time": self.clock,
                "mail_from": message.mail_from,
                "rcpt_to": message.rcpt_to,
                "message_id": message.message_id,
            }
            if not self._brief:
                line["content"] = message.content.decode("latin-1")
            self._log.write(json.dumps(line) + "\n")
            self._log.flush()
        await self.tell()
        return number

    def reached(self, stage: str, name: str, addresses: list[str]) -> None:
        """Say that a session came to a stage that is to be told."""
        if self._told:
            line = {"event": "reached", "stage": stage, "name": name, "to": addresses}
            print(json.dumps(line), file=self._told, flush=True)

    def action(self, stage: str, number: int, addresses: list[str]) -> str:
        """What a stage does other than usual, or nothing."""
        for address in addresses:
            found = SCRIPTED.fullmatch(address)
            if found and found[1] == stage and (stage, address) not in self._once:
                if found[3]:
                    self._once.add((stage, address))
                return found[2]
        return self._rules.get((stage, number)) or self._rules.get((stage, 0), "")


async def wait_for_process(port: int, count: int) -> tuple[int, float]:
    """Wait until the sink process at this port has taken that many messages; how many, and when the last one came.

    The time is `time.monotonic()`. A `--fast` sink notes times only while somebody waits: wait before sending.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await reader.readline()
        writer.write(f"XWAIT {count}\r\n".encode())
        _, taken, clock = (await reader.readline()).split()
        return int(taken), float(clock)
    finally:
        writer.close()
        await writer.wait_closed()


async def _run(arguments: argparse.Namespace) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if arguments.fast:
        kind = slow_sink(arguments.answer_s) if arguments.answer_s else TimedSink if arguments.times else FastSink
        server = await loop.create_server(kind, "127.0.0.1", arguments.port)
        ports = {"port": server.sockets[0].getsockname()[1]}
        if arguments.cert:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(arguments.cert)
            secured = await loop.create_server(kind, "127.0.0.1", 0, ssl=context)
            ports["tls_port"] = secured.sockets[0].getsockname()[1]
        print(json.dumps(ports), flush=True)  # noqa: T201
        await stop.wait()
        server.close()
        return
    features = Features(pipelining=not arguments.no_pipelining)
    with (arguments.log or Path("/dev/null")).open("a", encoding="utf-8") as log:
        kept = log if arguments.log else None
        async with SmtpSink(features, port=arguments.port, log=kept, brief=arguments.brief, told=sys.stdout) as sink:
            print(json.dumps({"port": sink.port}), flush=True)  # noqa: T201
            await stop.wait()


def main() -> None:
    """Run as a process."""
    parser = argparse.ArgumentParser(description="a scriptable SMTP sink")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path, help="append one JSON line a message")
    parser.add_argument("--brief", action="store_true", help="log no contents")
    parser.add_argument("--no-pipelining", action="store_true")
    parser.add_argument("--fast", action="store_true", help="count only, for benchmarks")
    parser.add_argument("--times", action="store_true", help="with --fast: note when each message came, and to whom")
    parser.add_argument("--answer-s", type=float, default=0.0, help="with --fast: answer each message after so long")
    parser.add_argument("--cert", type=Path, help="with --fast: a second port with TLS; PEM of certificate and key")
    arguments = parser.parse_args()
    try:
        import uvloop
    except ImportError:
        asyncio.run(_run(arguments))
    else:
        uvloop.run(_run(arguments))


if __name__ == "__main__":
    main()
