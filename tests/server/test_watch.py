"""WatchTrigger: a snapshot, then every change once and in order, however often the stream is cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc import StatusCode

from clarion.v1 import delivery_pb2, trigger_pb2
from clarion.v1 import trigger_service_pb2 as pb
from clarion_core import tasks
from clarion_core.domain.errors import Draining
from clarion_core.store import connection
from clarion_core.store.connection import connect_blocking
from clarion_core.store.events import EventStore
from clarion_core.store.store import Store
from clarion_core.store.triggers import StoredTrigger, TriggerStore
from clarion_server.watch import BACKLOG, Watches
from clarion_stack.redis import RedisServer
from support.clarion import CAMPAIGN, Clarion
from support.mute_proxy import MuteProxy
from support.refusal import refusal_of, refused
from support.smtp_sink import SmtpSink

Step = pb.WatchTriggerResponse
Proto = trigger_pb2.Trigger
EVENTS = "clarion:{0}:ev"


def watch(clarion: Clarion, name: str, token: str = "", stub: Any = None) -> Any:
    return (stub or clarion.triggers).WatchTrigger(pb.WatchTriggerRequest(name=name, resume_token=token))


async def steps(stream: Any) -> list[Step]:
    """All that a watch has to say until it ends by itself."""
    found: list[Step] = []
    while (step := await stream.read()) is not grpc.aio.EOF:
        found.append(step)
    return found


async def first(stream: Any) -> Step:
    """The first step; the stream is cut behind it."""
    step: Step = await stream.read()
    stream.cancel()
    return step


def ids(trigger: Proto) -> str:
    return trigger.name.rpartition("/")[2]


async def stored(store: Store, trigger: Proto) -> StoredTrigger:
    """The trigger as a watch reads it."""
    found = await TriggerStore(store, 1, 86_400).get(ids(trigger))
    assert found is not None
    return found


async def cancel(clarion: Clarion, trigger: Proto) -> None:
    await clarion.triggers.CancelTrigger(pb.CancelTriggerRequest(name=trigger.name))


async def test_a_snapshot_comes_first_then_changes_until_the_end(clarion: Clarion) -> None:
    await clarion.live_campaign()
    trigger = await clarion.trigger(20)
    stream = watch(clarion, trigger.name)
    snapshot: Step = await stream.read()
    assert snapshot.snapshot == trigger
    assert snapshot.resume_token

    async with SmtpSink() as sink:
        await clarion.work(sink.port, window=8)
        changes = await steps(stream)
    assert await stream.code() == StatusCode.OK

    assert all(step.WhichOneof("event") == "change" for step in changes)
    tokens = [tuple(map(int, step.resume_token.split("-"))) for step in (snapshot, *changes)]
    assert tokens == sorted(set(tokens))
    states: dict[str, list[int]] = {}
    for step in changes:
        counts = step.change.counts
        assert counts.accepted == 20 == counts.in_flight + counts.sent
        for moved in step.change.deliveries:
            states.setdefault(moved.delivery, []).append(moved.state)
    assert len(states) == 20
    State = delivery_pb2.Delivery.State
    assert list(states.values()) == [[State.STATE_SENT]] * 20  # windows are opened without an event
    assert changes[-1].change.state == Proto.STATE_COMPLETED
    assert [step.change.state for step in changes[:-1]] == [Proto.STATE_RUNNING] * (len(changes) - 1)


async def test_cut_after_every_step_it_goes_on_without_gap_or_repeat(clarion: Clarion) -> None:
    await clarion.live_campaign()
    trigger = await clarion.trigger(20)
    token = (await first(watch(clarion, trigger.name))).resume_token
    start = token
    live: list[Step] = []
    async with SmtpSink() as sink:
        await clarion.work(sink.port, window=8)
        while not live or live[-1].change.state != Proto.STATE_COMPLETED:
            live.append(await first(watch(clarion, trigger.name, token)))
            token = live[-1].resume_token

    replay = await steps(watch(clarion, trigger.name, start))
    assert replay == live
    assert len(live) > 4
    for index, step in enumerate(live):
        assert await steps(watch(clarion, trigger.name, step.resume_token)) == live[index + 1 :]


async def test_another_server_goes_on_where_the_first_stopped(clarion: Clarion) -> None:
    await clarion.live_campaign()
    trigger = await clarion.trigger(700)  # called off in two steps
    token = (await first(watch(clarion, trigger.name))).resume_token
    stub = type(clarion.triggers)(await clarion.channel(await clarion.serve()))
    await cancel(clarion, trigger)
    [one, _] = changes = await steps(watch(clarion, trigger.name, token))
    assert await steps(watch(clarion, trigger.name, one.resume_token, stub)) == changes[1:]


async def test_a_finished_trigger_is_a_snapshot_and_the_end(clarion: Clarion) -> None:
    await clarion.live_campaign()
    trigger = await clarion.trigger()
    await cancel(clarion, trigger)
    [step] = await steps(watch(clarion, trigger.name))
    assert step.snapshot.state == Proto.STATE_CANCELLED
    assert await steps(watch(clarion, trigger.name, step.resume_token)) == []


async def test_others_changes_are_not_shown(clarion: Clarion) -> None:
    await clarion.live_campaign()
    mine, other = await clarion.trigger(), await clarion.trigger()
    stream = watch(clarion, mine.name)
    await stream.read()
    await cancel(clarion, other)
    await cancel(clarion, mine)
    [change] = await steps(stream)
    assert [moved.delivery.startswith(mine.name) for moved in change.change.deliveries] == [True]


async def test_many_watch_one_trigger(clarion: Clarion) -> None:
    await clarion.live_campaign()
    trigger = await clarion.trigger(700)
    streams = [watch(clarion, trigger.name) for _ in range(30)]
    for stream in streams:
        await stream.read()
    await cancel(clarion, trigger)
    seen = await asyncio.gather(*(steps(stream) for stream in streams))
    assert all(changes == seen[0] for changes in seen)
    assert len(seen[0]) == 2


class TestTokens:
    @pytest.mark.parametrize(
        "token", ["x", "1", "1-", "-1", " 1-1", "+1-1", "1_0-1", "1-1-1", "١-١", f"{10**30}-1", "0x1-1", "1-1\n"]
    )
    async def test_what_no_watch_gave_is_refused(self, clarion: Clarion, token: str) -> None:
        await clarion.live_campaign()
        trigger = await clarion.trigger()
        error = await refused(steps(watch(clarion, trigger.name, token)))
        assert error.says == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert list(error.violations) == ["resume_token"]

    async def test_a_token_of_trimmed_events_is_out_of_range(self, clarion: Clarion, store: Store) -> None:
        await clarion.live_campaign()
        old, trigger = await clarion.trigger(), await clarion.trigger()
        await cancel(clarion, old)  # so that the stream has a place before the trimmed one
        token = (await first(watch(clarion, trigger.name))).resume_token
        await cancel(clarion, trigger)
        await cancel(clarion, await clarion.trigger())
        await store.command("XTRIM", EVENTS, "MAXLEN", 1)

        error = await refused(steps(watch(clarion, trigger.name, token)))
        assert error.says == (StatusCode.OUT_OF_RANGE, "HISTORY_TRIMMED")
        assert error.metadata == {"resume_token": token}
        assert len(await steps(watch(clarion, trigger.name))) == 1

    async def test_a_token_ahead_of_the_stream_is_of_a_lost_one(self, clarion: Clarion) -> None:
        await clarion.live_campaign()
        trigger = await clarion.trigger()
        error = await refused(steps(watch(clarion, trigger.name, "9999999999999-0")))
        assert error.says == (StatusCode.OUT_OF_RANGE, "HISTORY_TRIMMED")


async def test_a_silent_trigger_s_watch_has_a_heartbeat(clarion: Clarion) -> None:
    stub = type(clarion.triggers)(await clarion.channel(await clarion.serve(heartbeat_s=0.01)))
    await clarion.live_campaign()
    trigger = await clarion.trigger()
    stream = watch(clarion, trigger.name, stub=stub)
    snapshot = await stream.read()
    for _ in range(3):
        beat: Step = await stream.read()
        assert beat.WhichOneof("event") == "heartbeat"
        assert beat.resume_token == snapshot.resume_token
    await cancel(clarion, trigger)
    last = [step for step in await steps(stream) if step.WhichOneof("event") != "heartbeat"]
    assert [step.change.state for step in last] == [Proto.STATE_CANCELLED]


async def test_a_server_that_drains_ends_its_watches_for_others_to_take_up(clarion: Clarion) -> None:
    await clarion.live_campaign()
    trigger = await clarion.trigger()
    other = await clarion.serve()
    stub = type(clarion.triggers)(await clarion.channel(other))
    stream = watch(clarion, trigger.name, stub=stub)
    token = (await stream.read()).resume_token

    ended = asyncio.create_task(refused(steps(stream)))
    await other.stop()
    assert (await ended).says == (StatusCode.UNAVAILABLE, "DRAINING")

    await cancel(clarion, trigger)
    assert len(await steps(watch(clarion, trigger.name, token))) == 1


async def test_those_who_went_away_make_room_for_others(clarion: Clarion) -> None:
    stub = type(clarion.triggers)(await clarion.channel(await clarion.serve(max_watches=3)))
    await clarion.live_campaign()
    trigger = await clarion.trigger()
    for _ in range(3):
        streams = [await let_in(clarion, trigger, stub) for _ in range(3)]
        error = await refused(steps(watch(clarion, trigger.name, stub=stub)))
        assert error.says == (StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert error.metadata == {"subject": "watches", "limit": "3"}
        for stream in streams:
            stream.cancel()


async def let_in(clarion: Clarion, trigger: Proto, stub: Any) -> Any:
    """A watch that has its snapshot, once the server has seen those go that were there before."""
    while True:
        stream = watch(clarion, trigger.name, stub=stub)
        try:
            await stream.read()
        except grpc.aio.AioRpcError as error:
            if refusal_of(error).reason != "OVERLOADED":
                raise
        else:
            return stream


class TestBehindTheWire:
    """What no caller can force over a connection: the watcher is driven by hand, store and stream are real."""

    @asynccontextmanager
    async def watches(self, store: Store, redis_server: RedisServer) -> AsyncIterator[Watches]:
        blocking = Store(connect_blocking(redis_server.url))
        watches = Watches(EventStore(store, blocking), 1, 15.0)
        running = asyncio.create_task(watches.run())
        yield watches
        await tasks.end([running])
        await blocking.close()

    async def event(self, store: Store, trigger: Proto, number: int, state: str = "R") -> None:
        """What the functions write when a delivery moves; `number` is told apart by the attempts."""
        row = f"{state};1;1,1,0,0,0,0,0,0;{'0' * 21};0:G:{number}::"
        await store.command("XADD", EVENTS, "*", ids(trigger), row)

    async def test_a_slow_watcher_catches_up_from_the_stream(
        self, clarion: Clarion, store: Store, redis_server: RedisServer
    ) -> None:
        await clarion.live_campaign()
        trigger, fast = await clarion.trigger(), await clarion.trigger()

        async with self.watches(store, redis_server) as watches:
            slow = watches.watch(ids(trigger), lambda: stored(store, trigger), "")
            signal = watches.watch(ids(fast), lambda: stored(store, fast), "")
            assert (await anext(slow)).HasField("snapshot")
            await anext(signal)
            total = BACKLOG + 150
            for number in range(total):
                await self.event(store, trigger, number)
            await self.event(store, fast, 0, "D")
            assert [step.change.state async for step in signal] == [Proto.STATE_COMPLETED]

            await self.event(store, trigger, total, "D")
            seen = [step.change.deliveries[0].attempts async for step in slow]
        assert seen == list(range(total + 1))

    async def test_what_happens_while_the_snapshot_is_read_is_not_missed(
        self, clarion: Clarion, store: Store, redis_server: RedisServer
    ) -> None:
        await clarion.live_campaign()
        trigger = await clarion.trigger()

        async with self.watches(store, redis_server) as watches:
            early = watches.watch(ids(trigger), lambda: stored(store, trigger), "")
            await anext(early)

            async def read_and_move() -> StoredTrigger:
                found = await stored(store, trigger)
                await self.event(store, trigger, 1, "D")
                await anext(early)  # the fan-out is past the event now
                return found

            late = [step async for step in watches.watch(ids(trigger), read_and_move, "")]
        assert [step.WhichOneof("event") for step in late] == ["snapshot", "change"]

    async def test_what_happens_before_the_stream_is_read_again_is_not_missed(
        self, clarion: Clarion, store: Store, redis_server: RedisServer
    ) -> None:
        await clarion.live_campaign()
        trigger, before = await clarion.trigger(), await clarion.trigger()

        async with self.watches(store, redis_server) as watches:
            seen = watches.watch(ids(before), lambda: stored(store, before), "")
            assert (await anext(seen)).HasField("snapshot")
            await self.event(store, before, 1, "D")
            assert [step.change.state async for step in seen] == [Proto.STATE_COMPLETED]
            # Nobody watches now. A watch that begins stands between its snapshot and the first look at the stream.
            watched = watches.watch(ids(trigger), lambda: stored(store, trigger), "")
            assert (await anext(watched)).HasField("snapshot")
            await self.event(store, trigger, 1)
            await self.event(store, trigger, 2, "D")
            attempts = [step.change.deliveries[0].attempts async for step in watched]
        assert attempts == [1, 2]

    async def test_a_watch_that_begins_while_the_server_drains_ends_at_once(
        self, clarion: Clarion, store: Store, redis_server: RedisServer
    ) -> None:
        await clarion.live_campaign()
        trigger = await clarion.trigger()

        async with self.watches(store, redis_server) as watches:

            async def read() -> StoredTrigger:
                watches.drain()
                return await stored(store, trigger)

            stream = watches.watch(ids(trigger), read, "")
            assert (await anext(stream)).HasField("snapshot")
            with pytest.raises(Draining):
                await anext(stream)


async def test_a_stream_that_nobody_watches_is_not_read(clarion: Clarion, store: Store) -> None:
    await clarion.live_campaign()
    await store.command("CONFIG RESETSTAT")
    await cancel(clarion, await clarion.trigger())
    assert "cmdstat_xread" not in await store.command("INFO", "commandstats")
    trigger = await clarion.trigger()
    stream = watch(clarion, trigger.name)
    assert (await stream.read()).HasField("snapshot")
    await cancel(clarion, trigger)
    assert (await steps(stream))[-1].change.state == Proto.STATE_CANCELLED
    assert "cmdstat_xread" in await store.command("INFO", "commandstats")


async def test_a_trigger_that_is_none_can_not_be_watched(clarion: Clarion) -> None:
    error = await refused(steps(watch(clarion, f"{CAMPAIGN}/triggers/{'0' * 27}")))
    assert error.says == (StatusCode.NOT_FOUND, "TRIGGER_NOT_FOUND")


async def test_a_watch_goes_on_when_the_servers_connection_goes_dead_without_a_word(
    redis_server: RedisServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "BLOCKING_TIMEOUT_S", 1.5)
    async with MuteProxy(redis_server.socket) as proxy, Clarion(proxy.url) as clarion:
        await clarion.live_campaign()
        trigger = await clarion.trigger()
        stream = watch(clarion, trigger.name)
        await stream.read()
        proxy.mute_at(b"XREAD")
        await proxy.muted.wait()
        await cancel(clarion, trigger)
        assert [step.change.counts.cancelled for step in await steps(stream)] == [1]
