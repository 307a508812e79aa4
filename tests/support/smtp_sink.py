"""An SMTP server that does as it is told: for tests in this process, and as a process of its own.

A stage of a session (`greeting`, `ehlo`, `auth`, `mail`, `rcpt`, `data`, `content`, `dot`) can be made to misbehave:

- by address, so that a process needs no further instruction: the local part `{stage}-{action}` with an optional
  `-once` (the first time only) and `+anything`, as in `rcpt-550+7@example.com` or `dot-drop-once+x@example.com`;
  the sender's local part rules `mail`, a recipient's everything after it;
- by rule: `sink.script("dot", "drop", nth=3)` for the third message begun, or every one without `nth`.

Actions: a code (`451`), `hang` (no answer ever), `drop` (the connection is cut), `slow` (an answer after 0.2 s), or a
whole reply line (rules only). `content` comes after 354 and before the content is read; `dot` after it was recorded.

As a process: `python -m support.smtp_sink --port 0` prints `{"port": …}` and runs until SIGTERM. `XWAIT n` answers
`250 count clock` once n messages were taken: `clock` is this machine's monotonic clock when the n-th or a later one
was. `--fast` counts and does nothing else, for benchmarks.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import re
import signal
import ssl
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import ClassVar, TextIO, cast

LIMIT = 64 * 1024 * 1024
TEXTS = {"mail": "250 2.1.0 ok", "rcpt": "250 2.1.5 ok", "data": "354 go ahead", "dot": "250 2.0.0 taken"}
_ADDRESS = re.compile(r"<([^>]*)>(.*)")
_SCRIPTED = re.compile(r"(mail|rcpt|data|content|dot)-(\d{3}|hang|drop|slow)(-once)?(?:\+.*)?@.*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What EHLO announces. `user` and `password` make AUTH required; `size` 0 announces none."""

    pipelining: bool = True
    eight_bit: bool = True
    smtputf8: bool = True
    size: int = 0
    starttls: bool = False
    auth: str = ""
    user: str = ""
    password: str = ""
    ehlo: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message as taken. `wire` is what was read up to the final dot, `content` the same without dot-stuffing."""

    mail_from: str
    rcpt_to: list[str]
    parameters: str
    wire: bytes
    connection: int

    @property
    def content(self) -> bytes:
        """The message as it was before dot-stuffing."""
        whole = self.wire.replace(b"\r\n..", b"\r\n.")
        return whole[1:] if whole.startswith(b"..") else whole

    @property
    def message_id(self) -> str:
        """The Message-ID without its angle brackets, or nothing."""
        found = re.search(rb"^Message-ID: <([^>]*)>", self.wire, re.MULTILINE)
        return found[1].decode() if found else ""


class Dropped(Exception):
    """The connection is to be cut now."""


@dataclass
class Transaction:
    """An envelope in the making."""

    number: int
    mail_from: str
    parameters: str
    rcpt_to: list[str] = field(default_factory=list)


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
        self.changed = asyncio.Condition()
        self.released = asyncio.Event()  # set, hanging stages end by a dropped connection
        self._tls, self._implicit_tls, self._log = tls, implicit_tls, log
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
        try:
            await _Dialogue(self, reader, writer, self.connections).run(self._tls)
        except (Dropped, ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            writer.transport.abort()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            self._tasks.discard(task)
            self.open -= 1
            await self.tell()

    async def tell(self) -> None:
        """Wake those that wait for something to have happened."""
        async with self.changed:
            self.changed.notify_all()

    async def take(self, message: Received) -> None:
        """Record a message."""
        self.messages.append(message)
        self.clock = time.monotonic()
        if self._log:
            line = {
                "mail_from": message.mail_from,
                "rcpt_to": message.rcpt_to,
                "message_id": message.message_id,
                "content": message.content.decode("latin-1"),
            }
            self._log.write(json.dumps(line) + "\n")
            self._log.flush()
        await self.tell()

    def action(self, stage: str, number: int, addresses: list[str]) -> str:
        """What a stage does other than usual, or nothing."""
        for address in addresses:
            found = _SCRIPTED.fullmatch(address)
            if found and found[1] == stage and (stage, address) not in self._once:
                if found[3]:
                    self._once.add((stage, address))
                return found[2]
        return self._rules.get((stage, number)) or self._rules.get((stage, 0), "")


class _Dialogue:
    def __init__(self, sink: SmtpSink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self._sink, self._reader, self._writer, self._number = sink, reader, writer, number
        self._mail: Transaction | None = None
        self._secured = False
        self._known = not sink.features.user

    async def run(self, tls: ssl.SSLContext | None) -> None:
        await self._stage("greeting", "220 sink ESMTP")
        while line := await self._line():
            verb, _, rest = line.partition(" ")
            verb = verb.upper()
            self._sink.commands[verb] += 1
            await self._sink.tell()
            if verb == "QUIT":
                self._sink.quits += 1
                await self._say("221 2.0.0 bye")
                return
            if verb == "STARTTLS" and tls:
                await self._start_tls(tls)
            else:
                await self._command(verb, rest)

    async def _line(self) -> str:
        line = (await self._reader.readuntil(b"\r\n"))[:-2]
        # Outside of PIPELINING nothing may follow a command before its reply.
        self._sink.early += bool(self._reader._buffer)  # type: ignore[attr-defined]  # streams can't be asked
        return line.decode("utf-8", "surrogateescape")

    async def _say(self, reply: str) -> None:
        self._writer.write(reply.encode() + b"\r\n")
        await self._writer.drain()

    async def _stage(self, stage: str, usual: str, addresses: list[str] | None = None) -> str:
        """Do what the script says, or the usual; the reply that was given."""
        number = self._mail.number if self._mail else self._number
        action = self._sink.action(stage, number, addresses or [])
        if action == "drop":
            raise Dropped
        if action == "hang":
            await self._sink.released.wait()
            raise Dropped
        if action == "slow":
            await asyncio.sleep(0.2)
        reply = f"{action} scripted" if action.isdigit() else usual if action in ("", "slow") else action
        if reply:
            await self._say(reply)
        if reply.startswith("421"):
            raise Dropped
        return reply

    async def _command(self, verb: str, rest: str) -> None:
        handler = getattr(self, f"_on_{verb.lower()}", None)
        if handler is None:
            await self._say("500 5.5.1 unknown command")
        else:
            await handler(rest)

    async def _on_ehlo(self, rest: str) -> None:
        f = self._sink.features
        offers = ["sink", *(["PIPELINING"] * f.pipelining), *(["8BITMIME"] * f.eight_bit)]
        offers += [*(["SMTPUTF8"] * f.smtputf8), *([f"SIZE {f.size}"] if f.size else [])]
        offers += [*(["STARTTLS"] if f.starttls and not self._secured else []), *([f"AUTH {f.auth}".replace(" =", "=")] if f.auth else [])]
        lines = [f"250{' ' if offer is offers[-1] else '-'}{offer}" for offer in offers]
        await self._stage("ehlo", "\r\n".join(lines) if f.ehlo else "502 5.5.1 no such command")

    async def _on_helo(self, rest: str) -> None:
        await self._say("250 sink")

    async def _on_noop(self, rest: str) -> None:
        await self._say("250 2.0.0 ok")

    async def _on_rset(self, rest: str) -> None:
        self._mail = None
        await self._say("250 2.0.0 ok")

    async def _on_xwait(self, rest: str) -> None:
        await self._sink.wait_for(int(rest))
        await self._say(f"250 {len(self._sink.messages)} {self._sink.clock}")

    async def _on_auth(self, rest: str) -> None:
        mechanism, _, initial = rest.partition(" ")
        if mechanism.upper() == "PLAIN":
            _, user, password = base64.b64decode(initial).decode().split("\0")
        else:
            user, password = [await self._ask(prompt) for prompt in ("Username:", "Password:")]
        self._known = (user, password) == (self._sink.features.user, self._sink.features.password)
        await self._stage("auth", "235 2.7.0 welcome" if self._known else "535 5.7.8 wrong credentials")

    async def _ask(self, prompt: str) -> str:
        await self._say("334 " + base64.b64encode(prompt.encode()).decode())
        return base64.b64decode(await self._line()).decode()

    async def _on_mail(self, rest: str) -> None:
        found = _ADDRESS.search(rest)
        if self._mail or not found or not self._known:
            await self._say("503 5.5.1 nested MAIL" if self._mail else "530 5.7.0 authenticate first")
            return
        self._sink.begun += 1
        self._mail = Transaction(self._sink.begun, found[1], found[2].strip())
        if not (await self._stage("mail", TEXTS["mail"], [found[1]])).startswith("2"):
            self._mail = None

    async def _on_rcpt(self, rest: str) -> None:
        found = _ADDRESS.search(rest)
        if not self._mail or not found:
            await self._say("503 5.5.1 MAIL first")
        elif (await self._stage("rcpt", TEXTS["rcpt"], [found[1]])).startswith("2"):
            self._mail.rcpt_to.append(found[1])

    async def _on_data(self, rest: str) -> None:
        mail = self._mail
        generous = self._sink.action("data", 0, []) == TEXTS["data"]  # takes DATA whoever it is for
        if not mail or not (mail.rcpt_to or generous):
            await self._say("503 5.5.1 RCPT first")
            return
        if (await self._stage("data", TEXTS["data"], mail.rcpt_to)).startswith("354"):
            await self._content(mail)
            self._mail = None

    async def _content(self, mail: Transaction) -> None:
        await self._stage("content", "", mail.rcpt_to)
        lines = []
        while (line := await self._reader.readuntil(b"\r\n")) != b".\r\n":
            lines.append(line)
        if not mail.rcpt_to:
            await self._say("554 5.5.1 no valid recipients")
            return
        action = self._sink.action("dot", mail.number, [])
        refused = action[:1] in ("4", "5") or any(
            (found := _SCRIPTED.fullmatch(to)) and found[1] == "dot" and found[2][0] in "45" for to in mail.rcpt_to
        )
        received = Received(
            mail_from=mail.mail_from,
            rcpt_to=mail.rcpt_to,
            parameters=mail.parameters,
            wire=b"".join(lines),
            connection=self._number,
        )
        if refused:
            reply = await self._stage("dot", "", mail.rcpt_to)
            if reply:
                return
            await self._say(TEXTS["dot"])
            await self._sink.take(received)
            return
        await self._sink.take(received)
        await self._stage("dot", TEXTS["dot"], mail.rcpt_to)

    async def _start_tls(self, tls: ssl.SSLContext) -> None:
        await self._stage("starttls", "220 2.0.0 go ahead")
        await self._writer.start_tls(tls)
        self._secured = True


class FastSink(asyncio.Protocol):
    """Counts messages and looks at nothing else. Commands must come whole; PIPELINING is offered."""

    count = 0
    clock = 0.0
    waiting: ClassVar[list[tuple[int, asyncio.Transport]]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport, self._rest, self._in_data = cast("asyncio.Transport", transport), b"", False
        self._transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        replies = []
        while data:
            if self._in_data:
                end = data.find(b"\r\n.\r\n")
                if end < 0:
                    break
                self._in_data, data = False, data[end + 5 :]
                self._taken()
                replies.append(b"250 2.0.0 taken\r\n")
                continue
            line, ended, rest = data.partition(b"\r\n")
            if not ended:
                break
            data = rest
            replies.append(self._command(line))
        self._rest = data
        if replies:
            self._transport.write(b"".join(replies))

    def _command(self, line: bytes) -> bytes:
        verb = line[:4]
        if verb in (b"MAIL", b"RCPT", b"RSET", b"NOOP"):
            return b"250 ok\r\n"
        if verb == b"DATA":
            self._in_data = True
            return b"354 go\r\n"
        if verb == b"EHLO":
            return b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
        if verb == b"XWAI":
            self.waiting.append((int(line[6:]), self._transport))
            self._answer()
            return b""
        return b"221 bye\r\n" if verb == b"QUIT" else b"500 unknown\r\n"

    def _taken(self) -> None:
        FastSink.count += 1
        if self.waiting:
            FastSink.clock = time.monotonic()
            self._answer()

    def _answer(self) -> None:
        for entry in [entry for entry in self.waiting if entry[0] <= FastSink.count]:
            self.waiting.remove(entry)
            entry[1].write(f"250 {FastSink.count} {FastSink.clock}\r\n".encode())


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
        server = await loop.create_server(FastSink, "127.0.0.1", arguments.port)
        print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)  # noqa: T201
        await stop.wait()
        server.close()
        return
    features = Features(pipelining=not arguments.no_pipelining)
    with (arguments.log or Path("/dev/null")).open("a", encoding="utf-8") as log:
        async with SmtpSink(features, port=arguments.port, log=log if arguments.log else None) as sink:
            print(json.dumps({"port": sink.port}), flush=True)  # noqa: T201
            await stop.wait()


def main() -> None:
    """Run as a process."""
    parser = argparse.ArgumentParser(description="a scriptable SMTP sink")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path, help="append one JSON line a message")
    parser.add_argument("--no-pipelining", action="store_true")
    parser.add_argument("--fast", action="store_true", help="count only, for benchmarks")
    arguments = parser.parse_args()
    try:
        import uvloop
    except ImportError:
        asyncio.run(_run(arguments))
    else:
        uvloop.run(_run(arguments))


if __name__ == "__main__":
    main()
