"""Throttles that an operator sets while everything runs, from the call to the SMSC: what they name goes no faster."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from clarion.v1 import campaign_pb2, delivery_pb2, delivery_service_pb2, worker_service_pb2
from clarion.v1.worker_pb2 import Batch
from clarion_core.domain.medium import Medium
from clarion_core.store.accepting import via_of
from clarion_core.store.keys import CONTROL, key, queue_of
from clarion_core.store.store import Store
from support.clarion import Clarion, a_recipient
from support.configurations import Keeping
from support.invariants import check
from support.peers import smpp
from support.peers.smpp import SmppPeer
from support.records import Records, until

OWN = """
sms:
  sender: Clarion
  providers:
    - name: carrier
      smpp: {{host: 127.0.0.1, port: {port}, system_id: clarion, password: {{file: password}}}}
"""
RECIPIENTS, BURST = 40, 2


@pytest.fixture
async def peer() -> AsyncIterator[SmppPeer]:
    async with smpp.peer(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), trustme.CA()) as made:
        yield made
        await made.close()


@pytest.fixture
async def texting(clarion: Clarion, peer: SmppPeer, store: Store, tmp_path: Path) -> AsyncIterator[Clarion]:
    """A Clarion whose worker sends through the SMSC, by its own file or by `orders-sms` of the store."""
    (tmp_path / "password").write_text("right\n")
    (tmp_path / "channels.yaml").write_text(OWN.format(port=peer.smsc.port))
    main = {"host": "127.0.0.1", "port": peer.smsc.port, "system_id": "clarion", "password": {"file": "password"}}
    await Keeping(clarion).create("orders-sms", {"providers": [{"name": "main", "smpp": main}]}, channel="sms")
    await clarion.work(1, channels=tmp_path / "channels.yaml", secrets_dir=tmp_path)
    yield clarion
    await check(Records(store))


def a_text(configuration: str) -> campaign_pb2.Content:
    return campaign_pb2.Content(sms=campaign_pb2.SmsContent(text="Hello"), channel_configuration=configuration)


async def states(clarion: Clarion, trigger: str) -> list[int]:
    request = delivery_service_pb2.ListDeliveriesRequest(trigger=trigger, page_size=RECIPIENTS)
    return [each.state for each in (await clarion.deliveries.ListDeliveries(request)).deliveries]


async def is_handed_back(clarion: Clarion) -> bool:
    """Whether the batch waits for permits: with its deliveries, in its queue, for a later time."""
    found = (await clarion.workers.ListBatches(worker_service_pb2.ListBatchesRequest())).batches
    return [(each.state, each.HasField("due_time")) for each in found] == [(Batch.STATE_WAITING, True)] and bool(
        found[0].epoch
    )


@pytest.mark.parametrize(
    ("configuration", "name", "limit"),
    [
        ("", "channels/sms", "channel:sms"),
        ("", "channels/sms/providers/carrier", "provider:sms/carrier"),
        ("orders-sms", "channels/sms", "channel:sms"),
        ("orders-sms", "channelConfigurations/orders-sms", "configuration:default/orders-sms"),
        ("orders-sms", "channelConfigurations/orders-sms/providers/main", "provider:default/orders-sms/main"),
    ],
)
async def test_what_a_throttle_names_gets_its_burst_and_waits_until_it_is_cleared(
    texting: Clarion, peer: SmppPeer, store: Store, configuration: str, name: str, limit: str
) -> None:
    await texting.live_campaign(contents=[a_text(configuration)])
    request = worker_service_pb2.SetThrottleRequest(name=name, rate_per_s=0.1, burst=BURST)
    assert (await texting.workers.SetThrottle(request)).throttle.name == name
    numbers = [f"+49151000{index:05}" for index in range(RECIPIENTS)]
    recipients = [a_recipient(index, addresses={"sms": number}) for index, number in enumerate(numbers)]
    peer.smsc.tell("script", [0] * RECIPIENTS)  # whatever the numbers say
    trigger = await texting.trigger(recipients=recipients)

    await until(lambda: is_handed_back(texting))
    sent = (await states(texting, trigger.name)).count(delivery_pb2.Delivery.STATE_SENT)
    assert BURST <= sent < RECIPIENTS // 2, "a permit comes back every ten seconds"
    assert len(peer.smsc.messages) == sent
    assert await store.command("EXISTS", key(CONTROL, "throttle", limit)), "permits were taken of this one"

    await texting.workers.ClearThrottle(worker_service_pb2.ClearThrottleRequest(name=name))
    queue = key(0, "queue", queue_of("transactional", via_of(Medium.SMS, f"default/{configuration or 'sms'}")))
    [job] = await store.command("ZRANGE", queue, 0, -1)
    await store.command("ZADD", queue, "XX", 1, job)  # it would look by itself within 15 seconds
    assert (await texting.finished(trigger.name)).counts.sent == RECIPIENTS
    assert sorted(f"+{message['to']}" for message in peer.smsc.messages) == numbers


async def test_a_throttle_on_another_configuration_holds_nothing_up(
    texting: Clarion, peer: SmppPeer, store: Store
) -> None:
    await texting.live_campaign(contents=[a_text("orders-sms")])
    peer.smsc.tell("script", [0] * RECIPIENTS)
    for name in ("channels/email", "channels/sms/providers/main", "channels/sms/providers/carrier"):
        request = worker_service_pb2.SetThrottleRequest(name=name, rate_per_s=0.1, burst=1)
        await texting.workers.SetThrottle(request)
    recipients = [a_recipient(index, addresses={"sms": f"+49151000{index:05}"}) for index in range(RECIPIENTS)]
    trigger = await texting.trigger(recipients=recipients)
    assert (await texting.finished(trigger.name)).counts.sent == RECIPIENTS
    assert await store.command("KEYS", key(CONTROL, "throttle", "*")) == []
