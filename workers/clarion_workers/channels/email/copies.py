"""Copies (cc, bcc): messages of their own, sent once the recipient's is taken, that can't act for the recipient.

They are sent as well as can be: once, without an entry in the ledger. A copy that fails is counted and logged, and
changes nothing for the recipient; one that a crash cut off is gone, or comes again where the recipient's message does.
Who is suppressed, or not on an allow list that holds, gets no copy: looked up once for all copies of a call.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Protocol

from msgspec.structs import replace

from clarion_core import logs
from clarion_core.domain.errors import ClarionError
from clarion_core.domain.outcome import Ambiguous, Outcome, Sent
from clarion_workers.channels import Channel, CutOff, Found
from clarion_workers.channels.email.address import AddressRefused, parse_mailbox
from clarion_workers.channels.email.message import Copy, EmailMessage
from clarion_workers.channels.email.neutral import neutral
from clarion_workers.channels.kind import Lookup, Opening

_MOST = 500  # in hand; while there are more, no recipient's message is handed over
_END_S = 10.0  # what those in hand get when the channel is closed

log = logs.get(__name__)


class Counts(Protocol):
    """Where copies are counted, by how they ended."""

    def update(self, outcomes: Sequence[str], /) -> None:
        """Count these."""
        ...


class Copying:
    """A channel for e-mail that sends the copies of what it sent."""

    def __init__(
        self, channel: Channel[EmailMessage], counts: Counts | None = None, lookup: Lookup | None = None
    ) -> None:
        """`counts` learns how each copy ended: `sent`, `failed`, `ambiguous` or `suppressed`."""
        self._channel, self._lookup = channel, lookup
        self._counts: Counts = counts if counts is not None else Counter[str]()
        self._in_hand = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._less = asyncio.Event()

    async def send(self, messages: Sequence[EmailMessage]) -> list[Outcome]:
        """As `Channel.send`; it does not wait for the copies, but for room for them."""
        try:
            while self._in_hand > _MOST:
                self._less.clear()
                await self._less.wait()
        except asyncio.CancelledError:
            raise CutOff([None] * len(messages)) from None
        try:
            outcomes = await self._channel.send(messages)
        except CutOff as cut:
            self._copy(messages, cut.outcomes)
            raise
        self._copy(messages, outcomes)
        return outcomes

    def post(self, copies: Sequence[EmailMessage], counts: Counts) -> None:
        """Send these as copies are sent, beside everything else; all of one workspace, and counted there."""
        self._begin(copies, counts)

    async def check(self) -> Found:
        """As `Channel.check`."""
        return await self._channel.check()

    async def close(self) -> None:
        """As `Channel.close`; copies in hand get ten seconds."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_END_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._channel.close()

    def _copy(self, messages: Sequence[EmailMessage], outcomes: Sequence[Outcome | None]) -> None:
        copies = [
            copy
            for message, outcome in zip(messages, outcomes, strict=True)
            if (message.cc or message.bcc) and isinstance(outcome, Sent)
            for copy in copies_of(message)
        ]
        self._begin(copies, self._counts)

    def _begin(self, copies: Sequence[EmailMessage], counts: Counts) -> None:
        if copies:
            self._in_hand += len(copies)
            task = asyncio.create_task(self._send(copies, counts))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, copies: Sequence[EmailMessage], counts: Counts) -> None:
        allowed, outcomes = copies, list[Outcome | None]([None] * len(copies))
        try:
            allowed = await self._allowed(copies)
            outcomes = list[Outcome | None](await self._channel.send(allowed) if allowed else [])
        except CutOff as cut:
            outcomes = list(cut.outcomes)
            raise
        except ClarionError as error:  # nobody can say who may get one: nobody does
            log.warning("copies_not_looked_up", reason=error.reason)
        finally:
            self._in_hand -= len(copies)
            self._less.set()
            suppressed = len(copies) - len(allowed)
            counts.update([*map(_ended, outcomes), *["suppressed"] * suppressed])
            _log(copies[0], outcomes, suppressed)

    async def _allowed(self, copies: Sequence[EmailMessage]) -> Sequence[EmailMessage]:
        """Those that the lists let be sent. They are of one workspace, as the messages of a call are."""
        if self._lookup is None:
            return copies
        addresses = [_address(copy.copy.address) for copy in copies if copy.copy]
        asked = list(dict.fromkeys(filter(None, addresses)))  # most are the same for every recipient
        may = dict(zip(asked, await self._lookup(copies[0].workspace, asked), strict=True))
        return [copy for copy, address in zip(copies, addresses, strict=True) if may.get(address, True)]


def copying(channel: Channel[EmailMessage], opening: Opening) -> Copying:
    """A provider's channel that sends copies, too. Every kind of e-mail provider is opened so."""
    return Copying(channel, opening.copies, opening.lookup)


def copies_of(message: EmailMessage) -> Iterator[EmailMessage]:
    """The copies of a message, but for those to its own recipient, whose links they can't use."""
    shared = neutral(message)
    for kind, addresses in (("cc", message.cc), ("bcc", message.bcc)):
        for number, address in enumerate(addresses, 1):
            if not _is_to(address, message.to_address):
                copy = Copy(kind=kind, number=number, address=address)  # type: ignore[arg-type]  # one of the two
                yield replace(shared, copy=copy, bcc=())


def _is_to(mailbox: str, address: str) -> bool:
    return _address(mailbox).lower() == address.lower()


def _address(mailbox: str) -> str:
    """The address of a mailbox; nothing where it has none, which the builder says."""
    try:
        return parse_mailbox(mailbox).address
    except AddressRefused:
        return ""


def _log(copy: EmailMessage, outcomes: Sequence[Outcome | None], suppressed: int) -> None:
    """Tell what was not sent of such copies, and no address."""
    kind = "seeds" if copy.copy and copy.copy.kind == "seed" else "copies"
    failed = [outcome for outcome in outcomes if not isinstance(outcome, Sent)]
    if failed:
        reasons = {str(getattr(outcome, "reason", "")) or _ended(outcome) for outcome in failed}
        log.warning("copies_not_sent", copies=len(failed), reasons=sorted(reasons), kind=kind)
    if suppressed:
        log.info("copies_suppressed", copies=suppressed, kind=kind)


def _ended(outcome: Outcome | None) -> str:
    if isinstance(outcome, Sent):
        return "sent"
    return "ambiguous" if isinstance(outcome, Ambiguous) else "failed"
