"""What the sink says: one SMTP session on asyncio's streams, and what it takes. See `support.smtp_sink`."""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.smtp_sink import SmtpSink

TEXTS = {"mail": "250 2.1.0 ok", "rcpt": "250 2.1.5 ok", "data": "354 go ahead"}
TAKEN = "250 2.0.0 Ok: queued as S{}"
_ADDRESS = re.compile(r"<([^>]*)>(.*)")
SCRIPTED = re.compile(r"(mail|rcpt|data|content|dot)-(\d{3}|hang|drop|slow|hold|tell)(-once)?(?:\+.*)?@.*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What EHLO announces. `user` and `password` make AUTH required; `size` 0 announces none."""

    pipelining: bool = True
    eight_bit: bool = True
    smtputf8: bool = True
    size: int = 0
    deliver_by: bool = False
    dsn: bool = False
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


class Dialogue:
    """One session: reads commands, answers as the sink's script says."""

    def __init__(self, sink: SmtpSink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self._sink, self._reader, self._writer, self._number = sink, reader, writer, number
        self._mail: Transaction | None = None
        self._name = ""  # what the other side calls itself
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
        if action == "hold":
            self._writer.transport.pause_reading()  # type: ignore[attr-defined]  # what comes stays with the sender
            self._sink.reached(stage, self._name, addresses or [])
        if action in ("hang", "hold"):
            await self._sink.released.wait()
            raise Dropped
        if action == "slow":
            await asyncio.sleep(self._sink.slow_s)
        reply = f"{action} scripted" if action.isdigit() else usual if action in ("", "slow", "tell") else action
        if reply:
            await self._say(reply)
        if action == "tell":
            self._sink.reached(stage, self._name, addresses or [])
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
        self._name = rest
        f = self._sink.features
        starttls, auth = f.starttls and not self._secured, f"AUTH {f.auth}".replace(" =", "=")
        announced = {
            "PIPELINING": f.pipelining,
            "8BITMIME": f.eight_bit,
            "SMTPUTF8": f.smtputf8,
            f"SIZE {f.size}": bool(f.size),
            "DELIVERBY 60": f.deliver_by,
            "DSN": f.dsn,
            "STARTTLS": starttls,
            auth: bool(f.auth),
        }
        offers = ["sink", *(offer for offer, made in announced.items() if made)]
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
        elif mechanism.upper() in ("OAUTHBEARER", "XOAUTH2"):
            said = base64.b64decode(initial).decode()
            found = re.search("(?:a|user)=([^,\1]+),?\1(?:.*\1)?auth=Bearer ([^\1]+)\1\1", said)
            user, password = found.groups() if found else ("", "")
            if (user, password) != (self._sink.features.user, self._sink.features.password):
                answer = await self._ask('{"status":"invalid_token"}')
                if answer != ("\1" if mechanism.upper() == "OAUTHBEARER" else ""):
                    await self._say("501 5.5.2 that is no end of it")
                    return
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
            (found := SCRIPTED.fullmatch(to)) and found[1] == "dot" and found[2][0] in "45" for to in mail.rcpt_to
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
            await self._say(TAKEN.format(await self._sink.take(received)))
            return
        number = await self._sink.take(received)
        await self._stage("dot", TAKEN.format(number), mail.rcpt_to)

    async def _start_tls(self, tls: ssl.SSLContext) -> None:
        if (await self._stage("starttls", "220 2.0.0 go ahead")).startswith("220"):
            await self._writer.start_tls(tls)
            self._secured = True
