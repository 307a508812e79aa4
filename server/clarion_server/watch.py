"""Watching triggers: the event stream of a shard is read once a server and fanned out to those who watch."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

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
_TOKEN = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")  # both parts fit the stream's 64 bits

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


class _Shard:
    """The feeds of one shard's triggers."""

    def __init__(self) -> None:
        self.feeds: dict[str, set[_Feed]] = {}
        self.wanted = asyncio.Event()  # whether there are any

    def add(self, trigger_id: str, feed: _Feed) -> None:
        """Have the trigger's events offered to this feed."""
        self.feeds.setdefault(trigger_id, set()).add(feed)
        self.wanted.set()

    def remove(self, trigger_id: str, feed: _Feed) -> None:
        """The reverse."""
        self.feeds[trigger_id].discard(feed)
        if not self.feeds[trigger_id]:
            del self.feeds[trigger_id]
        if not self.feeds:
            self.wanted.clear()

    def offer(self, events: Sequence[TriggerEvent]) -> None:
        """Offer each event to those who watch its trigger."""
        for event in events:
            for feed in self.feeds.get(event.trigger, ()):
                feed.offer(event)

    def wake_all(self, *, look: bool) -> None:
        """Have everybody go on; `look` where events were not offered: they have to see for themselves."""
        for feeds in self.feeds.values():
            for feed in feeds:
                feed.overrun = feed.overrun or look
                feed.offer(None)


class Watches:
    """Fans events out. `run` must be running for watches to move; a shard that nobody watches is not read."""

    def __init__(self, events: EventStore, shards: int, heartbeat_s: float) -> None:
        self._events, self._heartbeat_s = events, heartbeat_s
        self._watched = [_Shard() for _ in range(shards)]
        self._draining = False

    async def run(self) -> None:
        """Read the streams of watched shards until cancelled."""
        await asyncio.gather(*(self._read(shard) for shard in range(len(self._watched))))

    def drain(self) -> None:
        """End every watch: those who watch resume at another server."""
        self._draining = True
        for watched in self._watched:
            watched.wake_all(look=False)

    async def watch(
        self, trigger_id: str, read: Callable[[], Awaitable[StoredTrigger]], token: str, *, feedback: bool = False
    ) -> AsyncIterator[pb.WatchTriggerResponse]:
        """A snapshot, or what came behind the token; then every change; ends when the trigger has, or goes on.

        `feedback`: it goes on, for what is heard of the messages then.
        The snapshot is read once the feed is there: what happens from then on is in the one or the other.
        """
        feed = _Feed()
        watched = self._watched[(shard_of(trigger_id) or 0) % len(self._watched)]  # an id of no shard is not found
        watched.add(trigger_id, feed)
        try:
            stored = await read()
            if token:
                after = _checked(token, stored.event_id)
                async for event in self._between(trigger_id, after, stored.event_id):
                    yield from_event(event, stored.trigger.campaign_id, len(stored.trigger.refusals))
            else:
                yield pb.WatchTriggerResponse(snapshot=from_trigger(stored.trigger), resume_token=stored.event_id)
            if stored.trigger.state.is_final and not feedback:
                return
            async for step in self._follow(feed, stored, stored.event_id, on=feedback):
                yield step
        finally:
            watched.remove(trigger_id, feed)

    async def _follow(
        self, feed: _Feed, stored: StoredTrigger, seen: str, *, on: bool
    ) -> AsyncIterator[pb.WatchTriggerResponse]:
        while not self._draining:
            try:
                async with asyncio.timeout(self._heartbeat_s):
                    event = await feed.queue.get()
            except TimeoutError:
                yield pb.WatchTriggerResponse(heartbeat=pb.WatchTriggerResponse.Heartbeat(), resume_token=seen)
                continue
            if feed.overrun:
                feed.overrun = False
                found = self._between(stored.trigger.id, seen, "+")
            elif event and order(event.id) > order(seen):
                found = _one(event)
            else:
                continue
            async for event in found:
                seen = event.id
                yield from_event(event, stored.trigger.campaign_id, len(stored.trigger.refusals))
                if event.state.is_final and not on:
                    return
        raise Draining

    async def _between(self, trigger_id: str, after: str, upto: str) -> AsyncIterator[TriggerEvent]:
        """The trigger's events behind `after`; `HistoryTrimmed` where not all of them are there any more."""
        shard = shard_of(trigger_id) or 0
        while True:
            entries = await self._events.between(shard, after, upto, {trigger_id})
            if not await self._events.is_kept(shard, after):  # asked last: trimming does not wait for us
                raise HistoryTrimmed(after)
            if not entries:
                return
            for event_id, events in entries:
                after = event_id
                for event in events:
                    yield event

    async def _read(self, shard: int) -> None:
        watched, away = self._watched[shard], False
        while True:
            await watched.wanted.wait()
            try:
                position = await self._events.last_id(shard)
                watched.wake_all(look=True)  # what came up to here was offered to nobody
                away = False
                while watched.wanted.is_set():
                    for event_id, events in await self._events.wait(shard, position, watched.feeds):
                        position = event_id
                        watched.offer(events)
            except ClarionError as error:
                if not away:
                    log.warning("events_away", shard=shard, reason=error.reason)
                away = True
                await asyncio.sleep(_STORE_RETRY_S)


def _checked(token: str, last: str) -> str:
    """The token, if it can be one. One that is ahead of the stream was given by a stream that is lost."""
    if not _TOKEN.fullmatch(token):
        description = "is not a token that a watch gave"
        raise InvalidRequest.of([FieldProblem(path="resume_token", description=description)])
    if order(token) > order(last):
        raise HistoryTrimmed(token)
    return token


async def _one(event: TriggerEvent) -> AsyncIterator[TriggerEvent]:
    yield event
