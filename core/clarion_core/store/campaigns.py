"""Campaigns in the store: the record with its version, its revisions, and the gates of every shard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from clarion_core.domain import files
from clarion_core.domain.campaign import Campaign, CampaignState, Definition, Throttle, campaign_key
from clarion_core.domain.errors import ConcurrentChange, RequestIdReused
from clarion_core.domain.feedback import FeedbackCounts
from clarion_core.domain.trigger import Counts
from clarion_core.store import keys
from clarion_core.store.facts import FEEDBACK_FIELDS, feedback_of
from clarion_core.store.keys import CONTROL, LIMITS
from clarion_core.store.records import decode_campaign, decode_definition, decode_files, encode
from clarion_core.store.store import Store

UNPARK_AT_ONCE = 100
UNHOLD_AT_ONCE = 500
HURRY_AT_ONCE = 200
COUNT_FIELDS = ("acc", "fly", "S", "F", "P", "E", "C", "A")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """What is stored under a campaign's id: the campaign, or what a removed one left to count on from."""

    campaign: Campaign | None
    version: int
    revision: int
    now_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKey:
    """A call's request id and the fingerprint of its body."""

    id: str
    fingerprint: str


class CampaignStore:
    """Reads and changes campaigns. A change is written if the version is still the one that was read."""

    def __init__(self, store: Store, shards: int, retention_s: int) -> None:
        self._store, self._shards, self._retention_s = store, shards, retention_s

    async def read(self, workspace: str, campaign_id: str) -> Slot:
        """What is stored under the id now, and the store's time."""
        (record, version, revision), (seconds, micros) = await self._store.commands(
            [
                ("HMGET", keys.key(CONTROL, "campaign", campaign_key(workspace, campaign_id)), "rec", "ver", "rev"),
                ("TIME",),
            ]
        )
        return Slot(
            campaign=decode_campaign(record) if record else None,
            version=int(version or 0),
            revision=int(revision or 0),
            now_ms=seconds * 1000 + micros // 1000,
        )

    async def put(self, campaign: Campaign, slot: Slot, request: RequestKey) -> Campaign | None:
        """Store a campaign over what was read. The earlier answer, where the request id was used before.

        Where its definition changed, all its files have their data; what is read of it has them no more (`files`).

        `ConcurrentChange` if somebody else changed it since; `RequestIdReused` for another body.
        """
        before, definition = slot.campaign, files.described(campaign.definition)
        changed = before is None or before.definition != definition
        data = files.data_of(campaign.definition) if changed else {}
        answer = await self._store.call(
            "campaign_put",
            CONTROL,
            encode(replace(campaign, definition=definition)),
            encode(definition) if changed else b"",
            encode(data) if data else b"",
            campaign=campaign.key,
            workspace=campaign.workspace,
            id=campaign.id,
            request=request.id,
            fingerprint=request.fingerprint,
            read_version=slot.version if before else 0,
            version=campaign.version,
            revision=campaign.revision,
            superseded=before.revision if before and changed else 0,
        )
        replayed = _verdict(answer, campaign.name, request)
        earlier = decode_campaign(replayed) if replayed else None
        stored = earlier or campaign
        await self._set_gates(stored.key, stored.version, stored.state, stored.revision, stored.definition.throttle)
        await self._settled(stored.key, stored.version)
        return earlier

    async def delete(self, campaign: Campaign, request: RequestKey) -> bool:
        """Remove a campaign as it was read; True if the request id had done so before. Errors as `put`."""
        answer = await self._store.call(
            "campaign_delete",
            CONTROL,
            campaign=campaign.key,
            workspace=campaign.workspace,
            id=campaign.id,
            request=request.id,
            fingerprint=request.fingerprint,
            read_version=campaign.version,
            version=campaign.version + 1,
            revision=campaign.revision,
        )
        if _verdict(answer, campaign.name, request) is not None:
            return True
        version = campaign.version + 1
        await self._set_gates(campaign.key, version, CampaignState.STOPPED, campaign.revision, Throttle(), gone=True)
        await self._settled(campaign.key, version)
        return False

    async def answered(self, workspace: str, request: RequestKey, name: str) -> bytes | None:
        """The answer that a request id got before, empty for a removal; None where it is new.

        The first call may have been cut off between the record and the gates: they know of it after this.
        """
        answer = await self._store.call(
            "request_seen", CONTROL, b"", request=f"{workspace}:{request.id}", fingerprint=request.fingerprint
        )
        if not answer:
            return None
        earlier = _verdict(answer, name, request)
        await self._repair(campaign_key(workspace, name.rpartition("/")[2]))
        return earlier

    async def page(self, workspace: str, after: str, limit: int) -> tuple[list[Campaign], str]:
        """Campaigns in the order of their ids, those behind `after`; and what to go on behind, empty at the end."""
        low = f"({after}" if after else "-"
        index = keys.key(CONTROL, "campaigns", workspace)
        ids = await self._store.command("ZRANGEBYLEX", index, low, "+", "LIMIT", 0, limit)
        records = await self._store.commands(
            [("HGET", keys.key(CONTROL, "campaign", campaign_key(workspace, i.decode())), "rec") for i in ids]
        )
        last = ids[-1].decode() if len(ids) == limit else ""
        return [decode_campaign(record) for record in records if record], last  # one may be removed meanwhile

    async def counts(self, key: str) -> Counts:
        """The account of a campaign, summed over the shards."""
        rows = await self._store.commands(
            [("HMGET", keys.key(shard, "counts", key), *COUNT_FIELDS) for shard in range(self._shards)]
        )
        return sum((counts_of(row) for row in rows), Counts())

    async def feedback(self, key: str) -> FeedbackCounts:
        """How many of a campaign's deliveries have such facts, summed over the shards."""
        rows = await self._store.commands(
            [("HMGET", keys.key(shard, "counts", key), *FEEDBACK_FIELDS) for shard in range(self._shards)]
        )
        return sum((feedback_of(row) for row in rows), FeedbackCounts())

    async def definition(self, key: str, revision: int) -> Definition | None:
        """What a campaign says as of a revision, its files without their data; None where its lifetime is over."""
        blob = await self._store.command("GET", keys.key(CONTROL, "revision", f"{key}:{revision}"))
        return decode_definition(blob) if blob else None

    async def files(self, key: str, revision: int) -> dict[str, bytes]:
        """The data of a revision's files, by their hashes."""
        blob = await self._store.command("GET", keys.key(CONTROL, "files", f"{key}:{revision}"))
        return decode_files(blob) if blob else {}

    async def seed(self, key: str, revision: int, configuration: str) -> bool:
        """Whether a configuration comes to send a revision for the first time. Only who asks first is told so."""
        answer = await self._store.call("seed", CONTROL, revision=f"{key}:{revision}", configuration=configuration)
        return bool(answer)

    async def repair_gates(self) -> AsyncIterator[str]:
        """Set the gates of every campaign whose last change may not have reached them; their keys."""
        for raw in await self._store.command("SRANDMEMBER", keys.key(CONTROL, "dirty"), 100):
            key, _, changed = raw.decode().partition(" ")
            await self._repair(key)
            await self._settled(key, int(changed))
            yield key

    async def _repair(self, key: str) -> None:
        """Set a campaign's gates to what its record says."""
        record, version, revision = await self._store.command(
            "HMGET", keys.key(CONTROL, "campaign", key), "rec", "ver", "rev"
        )
        campaign = decode_campaign(record) if record else None
        state = campaign.state if campaign else CampaignState.STOPPED
        throttle = campaign.definition.throttle if campaign else Throttle()
        await self._set_gates(key, int(version or 0), state, int(revision or 0), throttle, gone=not record)

    async def _set_gates(
        self,
        key: str,
        version: int,
        state: CampaignState,
        revision: int,
        throttle: Throttle,
        *,
        gone: bool = False,
    ) -> None:
        for shard in range(self._shards):
            await self._store.call(
                "gate",
                shard,
                campaign=key,
                version=version,
                state=state.value,
                revision=revision,
                throttle=f"{throttle.rate_per_s:g} {throttle.burst}" if throttle.rate_per_s else "",
                kept_ms=LIMITS["REVISION_TTL_MS"] if gone else 0,
            )
            while await self._store.call("unpark", shard, campaign=key, limit=UNPARK_AT_ONCE) == UNPARK_AT_ONCE:
                continue
            cursor = await self._store.call("hurry", shard, campaign=key, cursor=0, count=HURRY_AT_ONCE)
            while cursor:
                cursor = await self._store.call("hurry", shard, campaign=key, cursor=cursor, count=HURRY_AT_ONCE)
            if state is CampaignState.STOPPED:
                await self._give_out_held(shard)

    async def _give_out_held(self, shard: int) -> None:
        """What is set aside under paused triggers is to be called off, too."""
        while await self._store.call("unhold_all", shard, limit=UNHOLD_AT_ONCE, retention_s=self._retention_s):
            continue

    async def _settled(self, key: str, version: int) -> None:
        """All gates know of this change; a later one has a mark of its own."""
        await self._store.command("SREM", keys.key(CONTROL, "dirty"), f"{key} {version}")


def counts_of(row: list[bytes | None]) -> Counts:
    """Counts as the store keeps them: a field a state, absent for zero."""
    return Counts(
        **dict(
            zip(
                ("accepted", "in_flight", "sent", "failed", "suppressed", "expired", "cancelled", "ambiguous"),
                (int(value or 0) for value in row),
                strict=True,
            )
        )
    )


def _verdict(answer: list[bytes], name: str, request: RequestKey) -> bytes | None:
    match answer[0]:
        case b"OK":
            return None
        case b"REPLAYED":
            return answer[1]
        case b"REUSED":
            raise RequestIdReused(request.id, name)
        case _:
            raise ConcurrentChange(name)
