"""More than the server may hold, and a store that can't take more or is not there."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc

from clarion.v1 import campaign_service_pb2 as campaigns
from clarion.v1 import trigger_service_pb2 as pb
from clarion_core.domain.errors import Overloaded
from clarion_core.domain.medium import Medium
from clarion_core.settings import ServerSettings
from clarion_core.store.accepting import Accepted, AcceptItem, AcceptPart, AcceptStore
from clarion_core.store.connection import connect
from clarion_core.store.store import Store
from clarion_server.app import Server
from clarion_server.commit import Committer
from clarion_stack.redis import RedisServer
from support.clarion import CAMPAIGN, Clarion, a_trigger
from support.refusal import refusal_of, refused
from support.smtp_sink import SmtpSink

Status = health_pb2.HealthCheckResponse
BALLAST = 32 << 20
GET = campaigns.GetCampaignRequest(name=CAMPAIGN)


@pytest.fixture
async def own_redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """A store of this test alone, to take away."""
    server = RedisServer(tmp_path / "redis", appendfsync="no")
    server.start()
    yield server
    server.stop()


async def health_until(channel: grpc.aio.Channel, service: str, wanted: Any) -> None:
    """Return once the health service says so; it streams every change."""
    request = health_pb2.HealthCheckRequest(service=service)
    stream = health_pb2_grpc.HealthStub(channel).Watch(request)
    while (await stream.read()).status != wanted:
        continue
    stream.cancel()


async def health(channel: grpc.aio.Channel, service: str) -> Any:
    request = health_pb2.HealthCheckRequest(service=service)
    return (await health_pb2_grpc.HealthStub(channel).Check(request)).status


async def outcomes(calls: list[Any]) -> list[str]:
    """What became of the calls: OK, or the reason."""
    answers = await asyncio.gather(*calls, return_exceptions=True)
    return [refusal_of(a).reason if isinstance(a, grpc.aio.AioRpcError) else "OK" for a in answers]


async def test_a_burst_of_1500_calls_is_answered_and_none_cancelled(clarion: Clarion) -> None:
    await clarion.live_campaign()
    found = await outcomes([clarion.triggers.CreateTrigger(a_trigger()) for _ in range(1500)])
    assert found == ["OK"] * 1500


async def test_beyond_the_limit_calls_are_refused_clearly_and_the_others_answered(clarion: Clarion) -> None:
    stub = type(clarion.triggers)(await clarion.channel(await clarion.serve(max_calls=5)))
    await clarion.live_campaign()
    found = await outcomes([stub.CreateTrigger(a_trigger()) for _ in range(300)])
    assert set(found) == {"OK", "OVERLOADED"}
    assert await outcomes([stub.CreateTrigger(a_trigger())]) == ["OK"]
    campaign = (await clarion.campaigns.GetCampaign(GET)).campaign
    assert campaign.counts.accepted == found.count("OK") + 1


async def test_what_is_being_staged_counts_as_waiting(store: Store) -> None:
    staging = asyncio.Event()

    class Held(AcceptStore):
        async def stage(self, shard: int, item: AcceptItem) -> None:
            staging.set()
            await asyncio.Event().wait()

    def an_item() -> AcceptItem:
        part = AcceptPart(medium=Medium.EMAIL, configuration="email", rows=[b"x" * 1000] * 600)
        fields: dict[str, Any] = {"trigger_id": "t", "campaign": "c", "revision": 1, "lane": "l", "policy": "L8"}
        return AcceptItem(**fields, fingerprint="", head=b"", parts=[part])

    committer = Committer(Held(store), 0, 1_000_000)
    first: asyncio.Task[Accepted] = asyncio.create_task(committer.accept(an_item()))
    await staging.wait()
    with pytest.raises(Overloaded):
        await committer.accept(an_item())
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    staging.clear()
    again = asyncio.create_task(committer.accept(an_item()))
    await staging.wait()  # there is room again
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)


async def memory(redis: RedisServer, *, used: float) -> None:
    """Set the limit so that this part of it is used."""
    admin = Store(connect(redis.url))
    await admin.command("SETRANGE", "ballast", BALLAST, "x")  # a few connections are little beside it, as in real life
    held = int((await admin.command("INFO", "memory"))["used_memory"])
    await admin.command("CONFIG", "SET", "maxmemory", round(held / used))
    await admin.close()


async def test_a_nearly_full_store_takes_no_new_work_and_finishes_what_it_has(own_redis: RedisServer) -> None:
    async with Clarion(own_redis.url) as clarion:
        await clarion.live_campaign()
        trigger = await clarion.trigger(20)
        await memory(own_redis, used=0.9)

        while await outcomes([clarion.triggers.CreateTrigger(a_trigger(validate_only=True))]) == ["OK"]:
            continue  # until the server has looked
        error = await refused(clarion.triggers.CreateTrigger(a_trigger()))
        assert error.says == (StatusCode.RESOURCE_EXHAUSTED, "STORE_FULL")
        assert int(error.metadata["used_bytes"]) > 0.8 * int(error.metadata["limit_bytes"])
        async with SmtpSink() as sink:
            await clarion.work(sink.port)
            assert (await clarion.finished(trigger.name)).counts.sent == 20


async def test_a_full_store_still_gives_first_answers(own_redis: RedisServer) -> None:
    async with Clarion(own_redis.url) as clarion:
        await clarion.live_campaign()
        request = a_trigger(20, request_id=str(uuid.uuid4()))
        trigger = (await clarion.triggers.CreateTrigger(request)).trigger
        await memory(own_redis, used=1.1)

        error = await refused(clarion.triggers.CreateTrigger(a_trigger()))
        assert error.says == (StatusCode.RESOURCE_EXHAUSTED, "STORE_FULL")
        again = await clarion.triggers.CreateTrigger(request)
        assert (again.replayed, again.trigger) == (True, trigger)
        await clarion.campaigns.PauseCampaign(campaigns.PauseCampaignRequest(name=CAMPAIGN))
        called_off = await clarion.triggers.CancelTrigger(pb.CancelTriggerRequest(name=trigger.name))
        assert called_off.trigger.counts.cancelled == 20
        await clarion.campaigns.StopCampaign(campaigns.StopCampaignRequest(name=CAMPAIGN))


async def test_while_the_store_is_away_calls_are_unavailable_and_then_all_is_well(own_redis: RedisServer) -> None:
    async with Clarion(own_redis.url) as clarion:
        channel = await clarion.channel(clarion.server)
        await clarion.live_campaign()
        before = await clarion.trigger()
        request = a_trigger(request_id=str(uuid.uuid4()))
        stream = clarion.triggers.WatchTrigger(pb.WatchTriggerRequest(name=before.name))
        assert (await stream.read()).HasField("snapshot")

        own_redis.kill()
        for call in (
            clarion.triggers.CreateTrigger(request),
            clarion.campaigns.GetCampaign(GET),
            clarion.triggers.WatchTrigger(pb.WatchTriggerRequest(name=before.name)).read(),
        ):
            error = await refused(call)
            assert error.says == (StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
            assert error.details["RetryInfo"].retry_delay.ToMilliseconds() > 0
        await health_until(channel, "", Status.NOT_SERVING)
        assert await health(channel, "clarion.v1.TriggerService") == Status.NOT_SERVING
        assert await health(channel, "liveness") == Status.SERVING

        own_redis.start()
        await health_until(channel, "", Status.SERVING)
        assert (await clarion.triggers.CreateTrigger(request)).trigger.counts.accepted == 1
        await clarion.triggers.CancelTrigger(pb.CancelTriggerRequest(name=before.name))
        assert (await stream.read()).change.counts.cancelled == 1  # the watch outlived it


async def test_a_server_that_starts_before_its_store_is_alive_and_not_ready(own_redis: RedisServer) -> None:
    own_redis.stop()
    server = Server(ServerSettings(redis_url=own_redis.url, listen="127.0.0.1:0", metrics="off", drain_s=1.0))
    starting = asyncio.create_task(server.start())
    while not server.port:  # noqa: ASYNC110 - a turn of the loop, and the port is known after a few
        await asyncio.sleep(0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        assert await health(channel, "liveness") == Status.SERVING
        assert await health(channel, "") == Status.NOT_SERVING
        get = channel.unary_unary(
            "/clarion.v1.CampaignService/GetCampaign", request_serializer=type(GET).SerializeToString
        )
        error = await refused(get(GET))
        assert error.says == (StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
        own_redis.start()
        await starting
        assert await health(channel, "") == Status.SERVING
        assert (await refused(get(GET))).reason == "CAMPAIGN_NOT_FOUND"
        await server.stop()


async def test_a_server_that_drains_is_alive_and_not_ready_and_finishes_what_it_has(clarion: Clarion) -> None:
    await clarion.live_campaign()
    other = await clarion.serve()
    channel = await clarion.channel(other)
    stub = type(clarion.triggers)(channel)
    watching = stub.WatchTrigger(pb.WatchTriggerRequest(name=(await clarion.trigger()).name))
    await watching.read()
    calls = [stub.CreateTrigger(a_trigger(100)) for _ in range(20)]
    await asyncio.gather(*(call.wait_for_connection() for call in calls))

    statuses = [
        health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=service))
        for service in ("", "liveness")
    ]
    assert [(await stream.read()).status for stream in statuses] == [Status.SERVING, Status.SERVING]
    stopping = asyncio.create_task(other.stop())
    assert (await statuses[0].read()).status == Status.NOT_SERVING
    for stream in statuses:
        stream.cancel()
    assert set(await outcomes(calls)) <= {"OK", "DRAINING"}
    assert (await refused(watching.read())).reason == "DRAINING"
    await stopping
