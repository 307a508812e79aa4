"""The store's own doors, ready to use."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from clarion_core.content.types import packed
from clarion_core.domain.campaign import Action, Campaign, CampaignState, Definition, RetryPolicy, after
from clarion_core.domain.delivery import DeliveryRecord, DeliveryState, Reason
from clarion_core.domain.ids import derived_trigger_id
from clarion_core.domain.medium import Medium
from clarion_core.domain.recipient import Recipient
from clarion_core.domain.retry import Conclusion
from clarion_core.domain.trigger import Counts, TriggerEvent
from clarion_core.store.accepting import Accepted, AcceptItem, AcceptPart, AcceptStore
from clarion_core.store.batches import Advanced, BatchRef, BatchStore, Claim, Result, Wanted
from clarion_core.store.campaigns import CampaignStore, RequestKey
from clarion_core.store.events import EventStore
from clarion_core.store.keys import PAGE, key, queue_of
from clarion_core.store.queues import Queues
from clarion_core.store.records import Head, encode, encode_recipient, fingerprint, policy_code
from clarion_core.store.store import Store
from clarion_core.store.triggers import StoredTrigger, TriggerStore
from clarion_core.store.upkeep import Upkeep

LANE = "transactional"
VIA = "email/default/email"
QUEUE = queue_of(LANE, VIA)
NEWS = queue_of(LANE, Medium.EMAIL)  # where the token is for a queue that was empty
JOBS_AT_MOST = 100_000
LEASE_MS = 60_000
RETENTION_S = 86_400
SENT = Conclusion(state=DeliveryState.SENT, detail="250 ok")
REFUSED = Conclusion(state=DeliveryState.FAILED, reason=Reason.RECIPIENT_REFUSED, detail="550 nobody")
NOT_HANDED_OVER = Conclusion(state=DeliveryState.QUEUED)
UNKNOWN = Conclusion(state=DeliveryState.AMBIGUOUS, reason=Reason.HANDOVER_UNKNOWN, ambiguous=True)


def retry_at(due_ms: int, *, ambiguous: bool = False) -> Conclusion:
    """Another attempt then."""
    reason = Reason.HANDOVER_UNKNOWN if ambiguous else Reason.PROVIDER_DEFERRED
    return Conclusion(state=DeliveryState.RETRYING, reason=reason, due_ms=due_ms, ambiguous=ambiguous)


class Records:
    """The store through the classes that own its records, all on shard 0."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.accepting = AcceptStore(store)
        self.triggers = TriggerStore(store, 1, RETENTION_S)
        self.campaigns = CampaignStore(store, 1, RETENTION_S)
        self.upkeep = Upkeep(store, worker="upkeep", retention_s=RETENTION_S)
        self._live: dict[str, Campaign] = {}
        self._requests = 0

    def worker(self, name: str = "w1", lease_ms: int = LEASE_MS) -> BatchStore:
        """A worker's way with batches."""
        return BatchStore(self.store, worker=name, lease_ms=lease_ms, retention_s=RETENTION_S)

    async def campaign(self, campaign_id: str = "welcome", **definition: Any) -> Campaign:
        """A LIVE campaign."""
        slot = await self.campaigns.read("default", campaign_id)
        campaign = Campaign(
            workspace="default",
            id=campaign_id,
            state=CampaignState.LIVE,
            revision=slot.revision + 1,
            version=slot.version + 1,
            create_ms=slot.now_ms,
            update_ms=slot.now_ms,
            definition=Definition(**definition),
        )
        await self.campaigns.put(campaign, slot, self.request())
        self._live[campaign_id] = campaign
        return campaign

    async def act(self, action: Action, campaign_id: str = "welcome") -> Campaign:
        """Activate, pause, resume or stop a campaign."""
        slot = await self.campaigns.read("default", campaign_id)
        assert slot.campaign
        state = after(action, slot.campaign.state, name=slot.campaign.name)
        changed = replace(slot.campaign, state=state, version=slot.version + 1)
        await self.campaigns.put(changed, slot, self.request())
        return changed

    def request(self) -> RequestKey:
        """A request id that was not used before."""
        self._requests += 1
        return RequestKey(id=f"request-{self._requests}", fingerprint=str(self._requests))

    def item(self, count: int = 1, request: str = "", campaign_id: str = "welcome", **changes: Any) -> AcceptItem:
        """A trigger of a campaign that `campaign` made, for this many recipients."""
        campaign = self._live[campaign_id]
        rows = [encode_recipient(a_recipient(index)) for index in range(count)]
        head = Head(workspace="default", campaign_id=campaign_id, revision=campaign.revision, context=packed({}))
        values = {
            "trigger_id": derived_trigger_id("default", campaign_id, request or self.request().id, 1),
            "campaign": campaign.key,
            "revision": campaign.revision,
            "lane": campaign.definition.lane,
            "policy": policy_code(campaign.definition),
            "fingerprint": fingerprint(count),
            "head": encode(head),
        }
        part = {"medium": Medium.EMAIL, "configuration": "default/email", "rows": rows}
        part |= {name: changes.pop(name) for name in ("medium", "configuration", "rows", "lines") if name in changes}
        parts = changes.pop("parts", None) or [AcceptPart(**part)]
        return AcceptItem(**(values | changes), parts=parts)

    async def accept(self, *items: AcceptItem) -> list[Accepted]:
        """Accept a group; large ones are staged first, as the server does."""
        for item in items:
            if item.is_large:
                await self.accepting.stage(0, item)
        return await self.accepting.accept(0, items)

    async def trigger(self, count: int = 1, **changes: Any) -> str:
        """One accepted trigger; its id."""
        item = self.item(count, **changes)
        await self.accept(item)
        return item.trigger_id

    async def get(self, trigger: str) -> StoredTrigger:
        """A trigger that is there."""
        stored = await self.triggers.get(trigger)
        assert stored
        return stored

    async def counts(self, trigger: str) -> Counts:
        """A trigger's account."""
        return (await self.get(trigger)).trigger.counts

    async def deliveries(self, trigger: str) -> list[DeliveryRecord]:
        """The records of a trigger's deliveries in order."""
        place = (await self.get(trigger)).placement
        found = [
            delivery
            for skip in range(0, place.count, 500)
            for delivery in await self.triggers.deliveries(trigger, place, skip, 500)
        ]
        return [delivery.record for delivery in found]

    async def states(self, trigger: str) -> str:
        """The states of a trigger's deliveries in order, a letter each."""
        return "".join(record.state.value for record in await self.deliveries(trigger))

    async def jobs(self, lane: str = LANE, medium: Medium = Medium.EMAIL) -> list[BatchRef]:
        """The jobs of a lane and medium in the order of their due times."""
        _, found = await Queues(self.store).first(0, lane, JOBS_AT_MOST, {})
        jobs = sorted((due, job) for queue in found if queue.medium is medium for job, due in queue.jobs)
        return [_ref(json.loads(await self.job(job))["a"]) for _, job in jobs]

    async def job(self, job_id: str) -> bytes:
        """arq's record of a job."""
        blob: bytes = await self.store.command("GET", f"arq:job:{job_id}")
        return blob

    async def claim(self, worker: BatchStore | None = None, ref: BatchRef | None = None) -> Claim:
        """Claim a batch, by default that of the first job."""
        claim = await (worker or self.worker()).claim(ref or (await self.jobs())[0], lane=LANE)
        assert isinstance(claim, Claim), claim
        return claim

    async def lapse(self, batch: str) -> None:
        """Let a batch's lease be over, and have the sweep look at it."""
        assert await self.is_leased(batch)
        await self.store.command("HSET", key(0, "batch", batch), "u", 1)
        await self.look_at(batch)

    async def is_leased(self, batch: str) -> bool:
        """Whether a batch is somebody's, dead or alive."""
        return await self.store.command("HGET", key(0, "batch", batch), "u") not in (None, b"0")

    async def look_at(self, batch: str) -> None:
        """Have the sweep look at a batch now."""
        await self.store.command("ZADD", key(0, "open"), "XX", 0, batch)

    async def sweep(self) -> list[tuple[str, str]]:
        """What the sweep repaired."""
        return (await self.worker().sweep(0, 100))[1]

    async def keys(self) -> dict[str, int]:
        """Every key, without the shard, and its seconds to live; -1: for good."""
        names = await self.store.command("KEYS", "*")
        ttls = await self.store.commands([("TTL", name) for name in names])
        return {name.decode().removeprefix("clarion:"): ttl for name, ttl in zip(names, ttls, strict=True)}

    async def events(self) -> list[TriggerEvent]:
        """All events so far."""
        found = await EventStore(self.store, self.store).between(0, "0-0", "+", EVERY)
        return [event for _, group in found for event in group]


class _Every:
    def __contains__(self, _: object) -> bool:
        return True


EVERY = _Every()  # triggers


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Return once this holds, for what gives no signal; the test's time-out is the bound."""
    while not await holds():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def a_recipient(index: int) -> Recipient:
    """The `index`-th recipient."""
    return Recipient(user_id=f"user-{index}", addresses={"email": f"user-{index}@example.com"})


def wanted(claim: Claim, first: int = 0, count: int = PAGE) -> list[Wanted]:
    """A window over some of a claim's deliveries."""
    return [
        Wanted(delivery_id=each.id, trigger_id=each.trigger_id, attempt=each.record.attempts + 1)
        for each in claim.deliveries[first : first + count]
    ]


def results(window: Sequence[Wanted], conclusion: Conclusion, scope: str = "") -> list[Result]:
    """The same end for all of a window."""
    return [
        Result(
            delivery_id=each.delivery_id,
            trigger_id=each.trigger_id,
            attempts=each.attempt,
            conclusion=conclusion,
            opened=True,
            scope=scope,
        )
        for each in window
    ]


async def deliver(worker: BatchStore, claim: Claim, conclusion: Conclusion = SENT, scope: str = "") -> Advanced:
    """Open one window over the whole claim and record this end for all that may be handed over."""
    window = wanted(claim)
    opened = await worker.advance(claim, [], window)
    allowed = [want for want, ok in zip(window, opened.permits, strict=True) if ok]
    return await worker.finish(claim, results(allowed, conclusion, scope))


def allowing(attempts: int) -> RetryPolicy:
    """A policy with this many attempts, a second apart."""
    return RetryPolicy(max_attempts=attempts, initial_backoff_s=1, max_backoff_s=1)


def _ref(arguments: list[Any]) -> BatchRef:
    return BatchRef(shard=int(arguments[0]), via=arguments[1], id=arguments[2], epoch=arguments[3])
