"""Facts in the store: what is heard of a delivery after it was sent, noted once, whoever tells it in whatever order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from clarion_core.domain.bounce import BounceCategory
from clarion_core.domain.delivery import DeliveryRecord
from clarion_core.domain.feedback import CODE_MAX, Fact, FactKind, FeedbackCounts
from clarion_core.domain.ids import is_delivery_id, shard_of
from clarion_core.domain.retry import clip
from clarion_core.store import keys
from clarion_core.store.records import Head, RecipientRow, decode_head, decode_rows, parse_ledger
from clarion_core.store.store import Store

_SEPARATORS = re.compile("[|;]")  # of facts and of events
FEEDBACK_FIELDS = ("fD", "fB", "fC")


class Noted(StrEnum):
    """What became of a fact."""

    NEW = "NEW"  # the first of its kind
    CHANGED = "CHANGED"  # a harder bounce than the one that was known
    KNOWN = "KNOWN"
    GONE = "GONE"  # there is no such delivery, or its lifetime is over
    WAITING = "WAITING"  # no delivery has this provider's id; kept an hour for the one that will


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressee:
    """To whom a delivery is owed, and for whom."""

    delivery_id: str
    trigger_id: str
    head: Head
    recipient: RecipientRow
    record: DeliveryRecord


class FactStore:
    """Notes facts. Everything may be told again: the same facts stay."""

    def __init__(self, store: Store, shards: int, retention_s: int) -> None:
        self._store, self._shards, self._retention_s = store, shards, retention_s

    def _shard(self, delivery_id: str) -> int | None:
        shard = shard_of(delivery_id) if is_delivery_id(delivery_id) else None
        return shard if shard is not None and shard < self._shards else None

    async def note(self, delivery_id: str, fact: Fact) -> Noted:
        """Note a fact of a delivery. GONE for whatever can't be an id, too."""
        shard = self._shard(delivery_id)
        if shard is None:
            return Noted.GONE
        [verdict] = await self._store.call(
            "note", shard, facts=[(delivery_id, format_fact(fact))], retention_s=self._retention_s
        )
        return Noted(verdict.decode())

    async def note_sent_as(self, provider: str, provider_id: str, fact: Fact) -> tuple[Noted, str]:
        """Note a fact of what a provider has under an id of its own; and the delivery, empty while it is WAITING.

        Known are ids that came with an outcome whose receipts say no more (`Sent.receipts_by_id`).
        """
        for shard in range(self._shards):
            verdict, delivery_id = await self._store.call(
                "note_sent_as",
                shard,
                sent_as=f"{provider}:{provider_id}",
                fact=format_fact(fact),
                retention_s=self._retention_s,
            )
            if delivery_id:
                return Noted(verdict.decode()), delivery_id.decode()
        return Noted.WAITING, ""

    async def addressee(self, delivery_id: str) -> Addressee | None:
        """To whom a delivery is owed; None where there is none any more."""
        shard = self._shard(delivery_id)
        answer = shard is not None and await self._store.call("delivery_of", shard, delivery=delivery_id)
        if not answer:
            return None
        _, name, record, blob, head = answer
        offset, _, trigger_id = name.rpartition(b"/")[2].decode().split(":", 2)
        index = int(delivery_id.rpartition("-")[2]) % keys.PAGE
        return Addressee(
            delivery_id=delivery_id,
            trigger_id=trigger_id,
            head=decode_head(head),
            recipient=decode_rows(blob)[index - int(offset)],
            record=parse_ledger(record.decode()),
        )


def feedback_of(row: Sequence[bytes | None]) -> FeedbackCounts:
    """Feedback counts as the store keeps them, in the order of FEEDBACK_FIELDS; absent for zero."""
    delivered, bounced, complained = (int(value or 0) for value in row)
    return FeedbackCounts(delivered=delivered, bounced=bounced, complained=complained)


def format_fact(fact: Fact) -> str:
    """A fact as the functions take it: letter and hardness, time, provider, category, code, detail."""
    code = "-".join(_SEPARATORS.sub("/", clip(fact.code)).split())[:CODE_MAX]
    head = f"{fact.kind.value}{fact.hardness}|{max(0, fact.time_ms)}|{fact.provider}"
    return f"{head}|{fact.category or ''}|{code}|{clip(fact.detail)}"


def parse_fact(text: str) -> Fact:
    """What `format_fact` wrote; an event's has no detail."""
    head, time_ms, provider, category, code, *detail = text.split("|", 5)
    return Fact(
        kind=FactKind(head[0]),
        time_ms=int(time_ms),
        provider=provider,
        category=BounceCategory(category) if category else None,
        code=code,
        detail=detail[0] if detail else "",
    )


def parse_facts(lines: str) -> tuple[Fact, ...]:
    """The facts of a delivery, the earliest first."""
    return tuple(sorted((parse_fact(line) for line in lines.split("\n") if line), key=lambda fact: fact.time_ms))
