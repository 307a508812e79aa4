"""Copies (cc, bcc): messages of their own, sent once the recipient's is taken, that can't act for the recipient.

They are sent as well as can be: once, without an entry in the ledger. A copy that fails is counted and logged, and
changes nothing for the recipient; one that a crash cut off is gone, or comes again where the recipient's message does.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Protocol

from msgspec.structs import replace

from clarion_core import logs
from clarion_core.domain.outcome import Ambiguous, Outcome, Sent
from clarion_workers.channels import Channel, CutOff, Found
from clarion_workers.channels.email.address import AddressRefused, parse_mailbox
from clarion_workers.channels.email.message import Copy, EmailMessage

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

    def __init__(self, channel: Channel[EmailMessage], counts: Counts | None = None) -> None:
        """`counts` learns how each copy ended: `sent`, `failed` or `ambiguous`."""
        self._channel = channel
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
        if copies:
            self._in_hand += len(copies)
            task = asyncio.create_task(self._send(copies))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, copies: Sequence[EmailMessage]) -> None:
        outcomes: Sequence[Outcome | None] = ()
        try:
            outcomes = await self._channel.send(copies)
        except CutOff as cut:
            outcomes = cut.outcomes
            raise
        finally:
            self._in_hand -= len(copies)
            self._less.set()
            self._tell(outcomes)

    def _tell(self, outcomes: Sequence[Outcome | None]) -> None:
        ended = [_ended(outcome) for outcome in outcomes]
        self._counts.update(ended)
        failed = len(ended) - ended.count("sent")
        if failed:
            reasons = {str(getattr(outcome, "reason", "")) or _ended(outcome) for outcome in outcomes} - {"sent"}
            log.warning("copies_not_sent", copies=failed, reasons=sorted(reasons))


def copies_of(message: EmailMessage) -> Iterator[EmailMessage]:
    """The copies of a message, but for those to its own recipient."""
    for kind, addresses in (("cc", message.cc), ("bcc", message.bcc)):
        for number, address in enumerate(addresses, 1):
            if not _is_to(address, message.to_address):
                copy = Copy(kind=kind, number=number, address=address)  # type: ignore[arg-type]  # one of the two
                yield replace(message, copy=copy, bcc=())


def _is_to(mailbox: str, address: str) -> bool:
    try:
        return parse_mailbox(mailbox).address.lower() == address.lower()
    except AddressRefused:
        return False  # the builder says so


def _ended(outcome: Outcome | None) -> str:
    if isinstance(outcome, Sent):
        return "sent"
    return "ambiguous" if isinstance(outcome, Ambiguous) else "failed"
