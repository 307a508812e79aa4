"""Watching triggers: the event stream of a shard is read once a server and fanned out to those who watch."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator

from clarion.v1 import trigger_service_pb2 as pb
from clarion_core import logs
from clarion_core.domain.errors import ClarionError, Draining, FieldProblem, HistoryTrimmed, InvalidRequest
from clarion_core.domain.ids import shard_of
from clarion_core.domain.trigger import TriggerEvent
from clarion_core.store.events import EventStore, order
from clarion_core.store.triggers import StoredTrigger
from clarion_server.convert_trigger import from_event, from_trigger

HEARTBEAT_S = 15.0
BACKLOG = 500  # events a slow watcher may fall behind before it reads the stream by itself
_STORE_RETRY_S = 0.5

log = logs.get(__name__)


class _Feed:
    """What one watcher has yet to see."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[TriggerEvent | None] = asyncio.Queue(BACKLOG)
        self.overrun = False

    def offer(self, event: TriggerEvent | None) -> None:
        """Add an event; one too many, and the watcher has to catch up."""
        try:
            self.queue.put_nowait(event)
        except asyncio.QueueFull:
            self.overrun = True


class Watches:
    """Fans events out. `run` must be running for watches to move."""

    def __init__(self, events: EventStore, shards: int, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._events, self._shards, self._heartbeat_s = events, shards, heartbeat_s
        self._feeds: dict[str, set[_Feed]] = defaultdict(set)
        self._draining = False

    async def run(self) -> None:
        """Read every shard's stream until cancelled."""
        await asyncio.gather(*(self._read(shard) for shard in range(self._shards)))

    def drain(self) -> None:
        """End every watch: those who watch resume at another server."""
        self._draining = True
        for feeds in self._feeds.values():
            for feed in feeds:
                feed.overrun = True
                feed.offer(None)

    async def watch(self, stored: StoredTrigger, token: str) -> AsyncIterator[pb.WatchTriggerResponse]:
        """A snapshot, or what came behind the token; then every change; ends when the trigger has."""
        trigger_id, refused = stored.trigger.id, len(stored.trigger.refusals)
        feed = _Feed()
        self._feeds[trigger_id].add(feed)
        try:
            if token:
                seen = await self._checked(trigger_id, token)
                async for event in self._between(trigger_id, seen, stored.event_id):
                    yield from_event(event, stored.trigger.campaign_id, refused)
            else:
                yield pb.WatchTriggerResponse(snapshot=from_trigger(stored.trigger), resume_token=stored.event_id)
            if stored.trigger.state.is_final:
                return
            async for step in self._follow(feed, stored, stored.event_id):
                yield step
        finally:
            self._feeds[trigger_id].discard(feed)
            if not self._feeds[trigger_id]:
                del self._feeds[trigger_id]

    async def _follow(self, feed: _Feed, stored: StoredTrigger, seen: str) -> AsyncIterator[pb.WatchTriggerResponse]:
        while True:
            try:
                event = await asyncio.wait_for(feed.queue.get(), self._heartbeat_s)
            except TimeoutError:
                yield pb.WatchTriggerResponse(heartbeat=pb.WatchTriggerResponse.Heartbeat(), resume_token=seen)
                continue
            if self._draining:
                raise Draining
            if event is None or order(event.id) <= order(seen):
                continue
            caught_up: AsyncIterator[TriggerEvent] = _one(event)
            if feed.overrun:
                feed.overrun = False
                seen = await self._checked(event.trigger, seen)
                caught_up = self._between(event.trigger, seen, "+")
            async for found in caught_up:
                seen = found.id
                yield from_event(found, stored.trigger.campaign_id, len(stored.trigger.refusals))
                if found.state.is_final:
                    return

    async def _checked(self, trigger_id: str, token: str) -> str:
        """The token, if everything behind it can still be read."""
        try:
            order(token)
        except ValueError:
            description = "is not a token that a watch gave"
            raise InvalidRequest.of([FieldProblem(path="resume_token", description=description)]) from None
        if not await self._events.is_kept(shard_of(trigger_id) or 0, token):
            raise HistoryTrimmed(token)
        return token

    async def _between(self, trigger_id: str, after: str, upto: str) -> AsyncIterator[TriggerEvent]:
        shard = shard_of(trigger_id) or 0
        while entries := await self._events.between(shard, after, upto):
            for event_id, events in entries:
                after = event_id
                for event in events:
                    if event.trigger == trigger_id:
                        yield event

    async def _read(self, shard: int) -> None:
        position = ""
        while True:
            try:
                position = position or await self._events.last_id(shard)
                for event_id, events in await self._events.wait(shard, position):
                    position = event_id
                    for event in events:
                        for feed in self._feeds.get(event.trigger, ()):
                            feed.offer(event)
            except ClarionError as error:
                log.warning("events_away", shard=shard, reason=error.reason)
                await asyncio.sleep(_STORE_RETRY_S)


async def _one(event: TriggerEvent) -> AsyncIterator[TriggerEvent]:
    yield event
