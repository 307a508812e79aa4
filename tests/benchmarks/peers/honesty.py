"""Whether a peer's mails say what Clarion's say: a faster mail that says less is no comparison."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import getaddresses
from html.parser import HTMLParser
from pathlib import Path

import idna

from benchmarks import orders
from benchmarks.bare import messages_of
from benchmarks.peers.peer import Peer, running
from benchmarks.processes import BenchError, Child, module
from clarion_workers.channels.email.message import BuiltEmail
from clarion_workers.channels.email.mime import MimeBuilder
from support.example_orders import valid_orders
from support.smtp_sink import wait_for_process

_ORDER = re.compile(r"LL-\d+")
_PATIENCE_S = 120.0
# Babel and Intl know different editions of CLDR, and Intl a rule more (no groups in 9999 where that is the custom): the
# same amount may have another kind of space, apostrophe or minus, a group more or an invisible mark of direction.
_SPACES, _MARKS = re.compile(r"[\s\u00a0\u202f]+"), re.compile(r"[\u061c\u200e\u200f\u2066-\u2069]")
_GROUPS = re.compile(r"(?<=\d)[ '’](?=\d{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a mail says, however it is encoded."""

    sender: list[tuple[str, str]]
    reply_to: list[tuple[str, str]]
    to: list[tuple[str, str]]
    subject: str
    text: list[str]
    html: list[str]

    @classmethod
    def of(cls, content: bytes) -> Said:
        """Read a mail."""
        mail = message_from_bytes(content, policy=policy.SMTPUTF8)
        return cls(
            sender=_mailboxes(mail, "From"),
            reply_to=_mailboxes(mail, "Reply-To"),
            to=_mailboxes(mail, "To"),
            subject=_plain(mail["Subject"]),
            text=[_plain(line) for line in _part(mail, "plain").splitlines()],
            html=_Tokens.of(_part(mail, "html")),
        )

    def difference(self, other: Said) -> str:
        """The first thing that the other one says differently, or nothing."""
        for field in fields(self):
            ours, theirs = getattr(self, field.name), getattr(other, field.name)
            if ours == theirs:
                continue
            if isinstance(ours, list):
                pairs = zip([*ours, None], [*theirs, None], strict=False)
                ours, theirs = next(pair for pair in pairs if pair[0] != pair[1])
            return f"{field.name}: {ours!r} is {theirs!r}"
        return ""


async def check(peer: Peer, place: Path) -> int:
    """Let the peer send every valid order once and compare the mails; how many. BenchError where one differs."""
    with keeping_sink(place / f"{peer.name}-mails.jsonl") as mails, running(peer, place, mails.port) as rival:
        rival.queue(orders.plain(mails.count))
        return await mails.compare(peer.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mails:
    """Where every valid order is to be sent once."""

    port: int
    log: Path
    count: int = len(valid_orders())

    async def compare(self, name: str) -> int:
        """Compare what came from there with ours; how many mails. BenchError where one differs or does not come."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await wait_for_process(self.port, self.count)
        except TimeoutError:
            raise BenchError(f"{name} did not send {self.count} mails within {_PATIENCE_S:g} s") from None
        lines = self.log.read_text("utf-8").splitlines()
        theirs = _by_order(json.loads(line)["content"].encode("latin-1") for line in lines)
        ours = _by_order(await _our_mails(self.count))
        if other := ours.keys() ^ theirs.keys():
            raise BenchError(f"{name} sent other orders than it was given: {', '.join(sorted(other)[:3])}")
        for order, said in ours.items():
            if differs := said.difference(theirs[order]):
                raise BenchError(f"{name}'s mail for {order} says something else than ours: {differs}")
        return len(ours)


@contextmanager
def keeping_sink(log: Path) -> Iterator[Mails]:
    """A sink that keeps what it gets."""
    command = module("support.smtp_sink", "--log", log)
    with Child("keeping-sink", command, log.parent, '"port"') as sink:
        yield Mails(port=sink.said["port"], log=log)


async def _our_mails(count: int) -> list[bytes]:
    builder = MimeBuilder("example.com")
    built = [builder.build(message) for message in messages_of(count)]
    return [mail.content for mail in built if isinstance(mail, BuiltEmail)]


def _by_order(mails: Iterable[bytes]) -> Mapping[str, Said]:
    said = [Said.of(mail) for mail in mails]
    return {_number(each): each for each in said}


def _number(said: Said) -> str:
    found = _ORDER.search(said.subject)
    return found[0] if found else said.subject


def _mailboxes(mail: EmailMessage, name: str) -> list[tuple[str, str]]:
    return [(said, _address(address)) for said, address in getaddresses([str(mail[name])])]


def _address(address: str) -> str:
    """With its domain as SMTP may carry it: `bücher.example` is `xn--bcher-kva.example`."""
    local, _, domain = address.rpartition("@")
    return f"{local}@{idna.encode(domain, uts46=True).decode()}"


def _part(mail: EmailMessage, subtype: str) -> str:
    [part] = [part for part in mail.walk() if part.get_content_type() == f"text/{subtype}"]
    text = part.get_content()
    assert isinstance(text, str)
    return text


def _plain(text: str) -> str:
    said = _SPACES.sub(" ", _MARKS.sub("", text)).strip().replace("−", "-")
    return _GROUPS.sub("", said)


class _Tokens(HTMLParser):
    """What a page consists of: tags with their attributes, and the texts between them."""

    def __init__(self) -> None:
        super().__init__()
        self._found: list[str] = []

    @classmethod
    def of(cls, page: str) -> list[str]:
        """The tokens of a page."""
        parser = cls()
        parser.feed(page)
        parser.close()
        return [token for token in parser._found if token]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._found.append(f"<{tag} {dict(attrs)}>")

    def handle_endtag(self, tag: str) -> None:
        self._found.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self._found.append(_plain(data))
