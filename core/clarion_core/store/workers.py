"""Workers, lanes, open batches and throttles: how workers show themselves, and how people look after them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clarion_core.domain.configuration import configuration_key
from clarion_core.domain.errors import (
    CampaignNotFound,
    ChannelConfigurationNotFound,
    ClarionError,
    LaneNotFound,
    ProviderNotFound,
    RequestIdReused,
    ThrottleNotFound,
    WorkerNotFound,
)
from clarion_core.domain.worker import Identity, Lane, Load, OpenBatch, Subject, Throttle, ThrottleKind, Worker
from clarion_core.store import keys
from clarion_core.store.campaigns import RequestKey
from clarion_core.store.keys import CONTROL
from clarion_core.store.store import Store

JOBS_AT_ONCE = 500
BATCHES_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """What a worker is told in answer to a sign of life."""

    drain: bool
    paused: frozenset[str]  # lanes


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far a walk through the open batches has come."""

    shard: int = 0
    ms: int = 0
    id: str = ""


class WorkerStore:
    """Signs of life in, and what they add up to out. Changes may be repeated under their request id."""

    def __init__(self, store: Store, shards: int, lanes: Sequence[str]) -> None:
        self._store, self._shards, self._lanes = store, shards, tuple(sorted(lanes))

    async def heartbeat(self, identity: Identity, load: Load, *, start_ms: int, draining: bool) -> Commands:
        """Give a sign of life, and learn what to do."""
        fields = {
            "host": identity.host,
            "pid": identity.pid,
            "version": identity.version,
            "lanes": " ".join(identity.lanes),
            "start": start_ms,
            "deliveries": load.deliveries,
            "batches": load.batches,
            "rate": repr(load.rate_per_s),
            "draining": int(draining),
        }
        flat = [part for pair in fields.items() for part in pair]
        drain, paused = await self._store.call("heartbeat", CONTROL, worker=identity.id, fields=flat)
        return Commands(drain=bool(drain), paused=frozenset(lane.decode() for lane in paused))

    async def farewell(self, worker_id: str) -> None:
        """Be gone."""
        await self._store.call("farewell", CONTROL, worker=worker_id)

    async def page(self, after: str, limit: int) -> tuple[list[Worker], str]:
        """Workers in the order of their ids, behind `after`; and the id to go on behind, empty at the end."""
        names = await self._store.command("ZRANGE", keys.key(CONTROL, "workers"), 0, -1)
        ids, last = _slice(sorted(name.decode() for name in names), after, limit)
        return await self._workers(ids), last

    async def worker(self, worker_id: str) -> Worker | None:
        """One worker, None where it has ended."""
        return next(iter(await self._workers([worker_id])), None)

    async def _workers(self, ids: Sequence[str]) -> list[Worker]:
        *rows, (seconds, micros) = await self._store.commands(
            [
                *(("HGETALL", keys.key(CONTROL, "worker", each)) for each in ids),
                *(("EXISTS", keys.key(CONTROL, "drain", each)) for each in ids),
                ("TIME",),
            ]
        )
        now_ms = seconds * 1000 + micros // 1000
        found = zip(ids, rows[: len(ids)], rows[len(ids) :], strict=True)
        # The index may still name what is gone.
        return [
            _worker(each, record, told_to_drain=bool(told), now_ms=now_ms) for each, record, told in found if record
        ]

    async def drain(self, worker_id: str, request: RequestKey) -> bool:
        """Tell a worker to end as after SIGTERM; True where the request id had done so before. `WorkerNotFound`."""
        resource = f"workers/{worker_id}"
        answer = await self._act("worker_drain", request, worker=worker_id)
        return _replayed(answer, request, resource, missing=WorkerNotFound(resource))

    async def lanes(self) -> list[Lane]:
        """Every lane as it stands, in the order of their ids."""
        paused = {name.decode() for name in await self._store.command("SMEMBERS", keys.key(CONTROL, "paused"))}
        return [await self._lane(lane, paused=lane in paused) for lane in self._lanes]

    async def lane_page(self, after: str, limit: int) -> tuple[list[Lane], str]:
        """Lanes in the order of their ids, behind `after`; and the id to go on behind, empty at the end."""
        ids, last = _slice(self._lanes, after, limit)
        return [lane for lane in await self.lanes() if lane.id in ids], last

    async def pause(self, lane: str, request: RequestKey, *, paused: bool) -> tuple[Lane, bool]:
        """Have nobody take from a lane, or everybody again; the lane, and whether the request id had done so before.

        Workers follow with their next sign of life. `LaneNotFound`.
        """
        resource = f"lanes/{lane}"
        if lane not in self._lanes:
            raise LaneNotFound(resource)
        answer = await self._act("lane_pause", request, lane=lane, paused=paused)
        replayed = _replayed(answer, request, resource, missing=LaneNotFound(resource))
        is_paused = await self._store.command("SISMEMBER", keys.key(CONTROL, "paused"), lane)
        return await self._lane(lane, paused=bool(is_paused)), replayed

    async def _lane(self, lane: str, *, paused: bool) -> Lane:
        jobs = due = in_hand = age_ms = 0
        for shard, queue in await self._queues_of(lane):
            looked, offset = JOBS_AT_ONCE, 0
            while looked == JOBS_AT_ONCE:
                answer = await self._store.call("queue", shard, queue=queue, offset=offset, limit=JOBS_AT_ONCE)
                shard_jobs, shard_due, since, looked, leased, now_ms = answer
                in_hand += leased
                offset += looked
            jobs, due = jobs + shard_jobs, due + shard_due
            age_ms = max(age_ms, now_ms - since if since else 0)
        waiting = max(0, jobs - in_hand)  # read in several steps, while they move
        return Lane(id=lane, paused=paused, waiting=waiting, due=due, in_hand=in_hand, oldest_due_age_ms=age_ms)

    async def _queues_of(self, lane: str) -> list[tuple[int, str]]:
        """The queues of a lane that hold something, each with its shard."""
        shards = range(self._shards)
        found = await self._store.commands([("SMEMBERS", keys.key(shard, "queues", lane)) for shard in shards])
        return [(shard, keys.queue_of(lane, via.decode())) for shard in shards for via in found[shard]]

    async def batches(self, place: Place, limit: int) -> tuple[list[OpenBatch], Place | None]:
        """Up to `limit` open batches behind a place, 500 at most, and the place to go on behind, None at the end.

        They move while they are walked through: one may come twice, and one that was looked at anew meanwhile not.
        """
        if place.shard >= self._shards:
            return [], None
        limit = min(limit, BATCHES_AT_ONCE)
        rows, now_ms = await self._store.call("open_batches", place.shard, ms=place.ms, id=place.id, limit=limit)
        found = [_batch(place.shard, row, now_ms) for row in rows]
        if len(found) == limit:
            return found, Place(shard=place.shard, ms=rows[-1][0], id=found[-1].id)
        return found, Place(shard=place.shard + 1) if place.shard + 1 < self._shards else None

    async def throttles(self) -> list[Throttle]:
        """Every limit that is set, in the order of what they are called (`Subject.limit`)."""
        stored = await self._store.command("HGETALL", keys.key(CONTROL, "throttles"))
        return [_throttle(limit.decode(), value.decode()) for limit, value in sorted(stored.items())]

    async def throttle_page(self, after: str, limit: int) -> tuple[list[Throttle], str]:
        """Limits in the order of `throttles`, behind `after`; and what to go on behind, empty at the end."""
        by_limit = {throttle.subject.limit: throttle for throttle in await self.throttles()}
        limits, last = _slice(list(by_limit), after, limit)
        return [by_limit[each] for each in limits], last

    async def throttle(self, subject: Subject) -> Throttle | None:
        """The limit that is set for a subject."""
        value = await self._store.command("HGET", keys.key(CONTROL, "throttles"), subject.limit)
        return _throttle(subject.limit, value.decode()) if value else None

    async def set_throttle(self, throttle: Throttle, request: RequestKey) -> bool:
        """Set a limit; True where the request id had done so before.

        `CampaignNotFound`, `ChannelConfigurationNotFound`, `ProviderNotFound`: there is no such one in the store. What
        providers workers have of their own, the store does not know.
        """
        subject, value = throttle.subject, f"{throttle.rate_per_s!r} {throttle.burst}"
        answer = await self._act("throttle_put", request, limit=subject.limit, value=value, needs=_needs(subject))
        return _replayed(answer, request, subject.name, missing=_MISSING[subject.kind](subject.name))

    async def clear_throttle(self, subject: Subject, request: RequestKey) -> bool:
        """Clear a limit; True where the request id had done so before. `ThrottleNotFound`."""
        answer = await self._act("throttle_put", request, limit=subject.limit, value="", needs=())
        return _replayed(answer, request, subject.name, missing=ThrottleNotFound(subject.name))

    async def _act(self, function: str, request: RequestKey, **what: object) -> list[bytes]:
        # "-" is no workspace: these calls are about all of them.
        key = {"request": f"-:{request.id}", "fingerprint": request.fingerprint}
        answer: list[bytes] = await self._store.call(function, CONTROL, **key, **what)
        return answer


_MISSING: Mapping[ThrottleKind, Callable[[str], ClarionError]] = {
    ThrottleKind.CAMPAIGN: CampaignNotFound,
    ThrottleKind.CHANNEL: ThrottleNotFound,  # never: channels are always there
    ThrottleKind.CONFIGURATION: ChannelConfigurationNotFound,
    ThrottleKind.PROVIDER: ProviderNotFound,
}


def _needs(subject: Subject) -> Sequence[str]:
    """What has to be in the store for a limit to be set: the kind of record, its name, the provider in it."""
    match subject.kind:
        case ThrottleKind.CAMPAIGN:
            return "campaign", f"{subject.workspace}/{subject.id}", ""
        case ThrottleKind.CONFIGURATION:
            return "configuration", configuration_key(subject.workspace, subject.id), ""
        case ThrottleKind.PROVIDER if subject.workspace:
            return "configuration", configuration_key(subject.workspace, subject.within), subject.id
        case _:
            return ()


def _throttle(limit: str, value: str) -> Throttle:
    rate, burst = value.split(" ")
    return Throttle(subject=Subject.of_limit(limit), rate_per_s=float(rate), burst=int(burst))


def _slice(names: Sequence[str], after: str, limit: int) -> tuple[Sequence[str], str]:
    """Up to `limit` of ordered names behind `after`, and the last of them where there are more."""
    behind = [name for name in names if name > after]
    return behind[:limit], behind[limit - 1] if len(behind) > limit else ""


def _replayed(answer: list[bytes], request: RequestKey, resource: str, *, missing: ClarionError) -> bool:
    match answer[0]:
        case b"MISSING":
            raise missing
        case b"REUSED":
            raise RequestIdReused(request.id, resource)
        case verdict:
            return verdict == b"REPLAYED"


def _worker(worker_id: str, record: Mapping[bytes, bytes], *, told_to_drain: bool, now_ms: int) -> Worker:
    def text(field: bytes) -> str:
        return record[field].decode()

    return Worker(
        identity=Identity(
            id=worker_id,
            host=text(b"host"),
            pid=int(text(b"pid")),
            version=text(b"version"),
            lanes=tuple(text(b"lanes").split()),
        ),
        load=Load(deliveries=int(text(b"deliveries")), batches=int(text(b"batches")), rate_per_s=float(text(b"rate"))),
        start_ms=int(text(b"start")),
        heartbeat_ms=int(text(b"at")),
        draining=told_to_drain or text(b"draining") == "1",
        now_ms=now_ms,
    )


def _batch(shard: int, row: Sequence[Any], now_ms: int) -> OpenBatch:
    _, batch_id, campaign, lane, deliveries, epoch, lease_ms, claim, crashes, parked, due_ms = row
    return OpenBatch(
        shard=shard,
        id=batch_id.decode(),
        campaign=campaign.decode(),
        lane=lane.decode(),
        epoch=epoch,
        worker=claim.decode().partition(" ")[0] if lease_ms else "",
        lease_ms=lease_ms,
        queue_ms=due_ms if due_ms >= 0 else None,
        deliveries=deliveries,
        crashes=crashes,
        parked=bool(parked),
        now_ms=now_ms,
    )
