"""Triggers in the store: accepted, read, listed, called off."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from msgspec import structs

from clarion_core.domain.campaign import CampaignState
from clarion_core.domain.delivery import DeliveryRecord
from clarion_core.domain.errors import RequestIdReused
from clarion_core.domain.feedback import Fact
from clarion_core.domain.ids import shard_of
from clarion_core.domain.trigger import Counts, Placement, Slice, Trigger, TriggerState
from clarion_core.store import keys
from clarion_core.store.campaigns import RequestKey, counts_of
from clarion_core.store.facts import feedback_of, parse_facts
from clarion_core.store.records import Head, RecipientRow, decode_head, decode_rows, parse_ledger
from clarion_core.store.store import Store

CANCEL_PAGES = 5  # pages a call: a function handles 500 deliveries at most
RESUME_AT_ONCE = 500
DELIVERIES_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTrigger:
    """A trigger with what else the store knows of it."""

    trigger: Trigger
    head: Head
    placement: Placement
    fingerprint: str
    event_id: str


class StoredDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery: its id, its recipient, and its record in the ledger. A struct: one is made for every message.

    On push, the recipient's address is the one device that it is for.
    """

    id: str
    trigger_id: str
    recipient: RecipientRow
    record: DeliveryRecord
    discard_ms: int = 0
    discard_reason: str = ""
    provider_id: str = ""
    facts: tuple[Fact, ...] = ()


class TriggerStore:
    """Reads triggers and their deliveries, and calls triggers off."""

    def __init__(self, store: Store, shards: int, retention_s: int) -> None:
        self._store, self._shards, self._retention_s = store, shards, retention_s

    def _shard(self, identifier: str) -> int | None:
        shard = shard_of(identifier)
        return shard if shard is not None and shard < self._shards else None

    async def get(self, trigger_id: str) -> StoredTrigger | None:
        """A trigger, and the place in its shard's event stream that it is read at; None where there is none."""
        shard = self._shard(trigger_id)
        if shard is None:
            return None
        answer = await self._store.call("snapshot", shard, trigger=trigger_id)
        if not answer or answer[1] is None:
            return None
        account, blob, gate, event_id = answer
        head = decode_head(blob)
        return StoredTrigger(
            trigger=_trigger(trigger_id, account, head, gate.decode()),
            head=head,
            placement=Placement.parse(account[2].decode()),
            fingerprint=account[13].decode(),
            event_id=event_id.decode(),
        )

    async def page(self, campaign: str, before: tuple[int, str] | None, limit: int) -> list[Trigger]:
        """Triggers of a campaign, the newest first, those behind `before` (time of acceptance, id)."""
        triggers: list[Trigger] = []
        while len(triggers) < limit:
            found = [
                entry for shard in range(self._shards) for entry in await self._index(shard, campaign, before, limit)
            ]
            if not found:
                break
            found = sorted(found, reverse=True)[: limit - len(triggers)]
            stored = [await self.get(trigger_id) for _, trigger_id in found]
            triggers += [each.trigger for each in stored if each]  # the index may still name what is gone
            before = found[-1]
        return triggers

    async def _index(
        self, shard: int, campaign: str, before: tuple[int, str] | None, limit: int
    ) -> list[tuple[int, str]]:
        """Up to `limit` entries of one shard's index behind `before`; those of the same millisecond by id."""
        found: list[tuple[int, str]] = []
        offset = 0
        while len(found) < limit:
            rows = await self._store.command(
                "ZREVRANGEBYSCORE",
                keys.key(shard, "index", campaign),
                before[0] if before else "+inf",
                "-inf",
                "WITHSCORES",
                "LIMIT",
                offset,
                limit,
                withscores=True,
            )
            entries = [(int(score), raw.decode()) for raw, score in rows]
            found += [entry for entry in entries if before is None or entry < before]
            offset += limit
            if len(rows) < limit:
                break
        return found[:limit]

    async def cancel(self, trigger_id: str) -> TriggerState | None:
        """Call a trigger off; the state it was in, None where there is none. Final states are left alone."""
        stored = await self.get(trigger_id)
        shard = self._shard(trigger_id)
        if stored is None or shard is None:
            return None
        pages = sum(
            (place.start + place.count - 1) // keys.PAGE - place.start // keys.PAGE + 1
            for place in stored.placement.slices
        )
        before: TriggerState | None = None
        call = secrets.token_hex(8)
        for first in range(0, pages, CANCEL_PAGES):
            answer = await self._store.call(
                "cancel",
                shard,
                trigger=trigger_id,
                call=call,
                retention_s=self._retention_s,
                **{"from": first, "pages": CANCEL_PAGES},
            )
            if not answer:
                return None
            before = before or TriggerState(answer[0].decode())
            if before.is_final:
                break
        return before

    async def pause(self, trigger_id: str) -> TriggerState | None:
        """Hold a running trigger back; the state it was in, None where there is none. Others are left alone."""
        answer = await self._store.call("pause", self._shard(trigger_id) or 0, trigger=trigger_id)
        return TriggerState(answer[0].decode()) if answer and answer[0] else None

    async def resume(self, trigger_id: str) -> TriggerState | None:
        """Let a paused trigger go on; the state it was in, None where there is none. Others are left alone."""
        before: TriggerState | None = None
        while True:
            answer = await self._store.call(
                "resume",
                self._shard(trigger_id) or 0,
                trigger=trigger_id,
                first=before is None,
                limit=RESUME_AT_ONCE,
                retention_s=self._retention_s,
            )
            if not answer:
                return None
            before = before or TriggerState(answer[0].decode())
            if answer[1]:
                return before

    async def cancelled_by(self, trigger_id: str, workspace: str, request: RequestKey) -> bool:
        """Whether a call with this request id called the trigger off before; `RequestIdReused` for another call."""
        return await self._request(trigger_id, workspace, request, b"")

    async def remember_cancel(self, trigger_id: str, workspace: str, request: RequestKey) -> None:
        """Keep the request id of a call that called the trigger off."""
        await self._request(trigger_id, workspace, request, trigger_id.encode())

    async def _request(self, trigger_id: str, workspace: str, request: RequestKey, answer: bytes) -> bool:
        answered = await self._store.call(
            "request_seen",
            self._shard(trigger_id) or 0,
            answer,
            request=f"{workspace}:{request.id}",
            fingerprint=request.fingerprint,
        )
        if answered and answered[0] == b"REUSED":
            raise RequestIdReused(request.id, trigger_id)
        return bool(answered)

    async def deliveries(self, trigger_id: str, place: Placement, skip: int, limit: int) -> list[StoredDelivery]:
        """Some of a trigger's deliveries; at most 500. By medium, each in the order of the request's recipients."""
        found = []
        for each in place.cut(skip, min(limit, DELIVERIES_AT_ONCE)):
            found += await self._slice(each)
        return found

    async def _slice(self, place: Slice) -> list[StoredDelivery]:
        shard = self._shard(place.base)
        if shard is None:
            return []
        last = place.start + place.count - 1
        answer = await self._store.call("deliveries", shard, base=place.base, first=place.start, last=last)
        rows, segments, *beside = answer
        discarded, facts, sent_as = ({ref.decode(): text.decode() for ref, text in about} for about in beside)
        return [
            _with_what_is_beside(
                each, discarded.get(each.id, ""), parse_facts(facts.get(each.id, "")), sent_as.get(each.id, "")
            )
            for each in stored_deliveries(rows, segments)
        ]


def _with_what_is_beside(
    delivery: StoredDelivery, discard: str, facts: tuple[Fact, ...], provider_id: str
) -> StoredDelivery:
    if not (discard or facts or provider_id):
        return delivery
    at_ms, _, reason = discard.partition("|")
    return structs.replace(
        delivery, discard_ms=int(at_ms or 0), discard_reason=reason, facts=facts, provider_id=provider_id
    )


def stored_deliveries(
    rows: Sequence[tuple[bytes, bytes, bytes]], segments: Sequence[tuple[bytes, bytes]]
) -> list[StoredDelivery]:
    """Join ledger rows (delivery id, segment name, record) with the segments that hold their recipients."""
    held = {name: _Segment(name, blob) for name, blob in segments}
    found = []
    for ref, name, record in rows:
        delivery_id, segment = ref.decode(), held[name]
        index = int(delivery_id.rpartition("-")[2]) % keys.PAGE
        found.append(
            StoredDelivery(
                id=delivery_id,
                trigger_id=segment.trigger_id,
                recipient=segment.recipients[index - segment.offset],
                record=parse_ledger(record.decode()),
            )
        )
    return found


class _Segment:
    """Recipients that are stored together, under a name that tells whose they are: `page/offset:count:trigger`."""

    def __init__(self, name: bytes, blob: bytes) -> None:
        offset, _, self.trigger_id = name.rpartition(b"/")[2].decode().split(":", 2)
        self.offset = int(offset)
        self.recipients = decode_rows(blob)


def _trigger(trigger_id: str, account: list[bytes | None], head: Head, gate: str) -> Trigger:
    state = TriggerState((account[1] or b"R").decode())
    if state is TriggerState.RUNNING and gate == CampaignState.PAUSED.value:
        state = TriggerState.PAUSED
    return Trigger(
        id=trigger_id,
        workspace=head.workspace,
        campaign_id=head.campaign_id,
        revision=head.revision,
        state=state,
        counts=counts_of(account[5:13]),
        create_ms=int(account[3] or 0),
        finish_ms=int(account[4] or 0),
        expire_ms=int(account[14] or 0),
        ordering_key=head.ordering_key,
        refusals=head.refused(),
        feedback=feedback_of(account[15:18]),
    )


def accepted_trigger(trigger_id: str, head: Head, count: int, create_ms: int, expire_ms: int = 0) -> Trigger:
    """A trigger as it was the moment it was accepted: the first answer, and that of every repeat."""
    return Trigger(
        id=trigger_id,
        workspace=head.workspace,
        campaign_id=head.campaign_id,
        revision=head.revision,
        state=TriggerState.RUNNING,
        counts=Counts(accepted=count, in_flight=count),
        create_ms=create_ms,
        expire_ms=expire_ms,
        ordering_key=head.ordering_key,
        refusals=head.refused(),
    )
