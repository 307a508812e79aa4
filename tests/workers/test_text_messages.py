"""Text messages from an accepted trigger to the SMSC, and what comes back from there."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from clarion.v1 import campaign_pb2, delivery_pb2, delivery_service_pb2, trigger_pb2
from clarion.v1 import trigger_service_pb2 as trigger_calls
from clarion_core.domain.medium import Channel
from clarion_core.domain.suppression import SuppressionReason
from clarion_core.store.store import Store
from clarion_core.store.suppressions import Suppressions
from support.clarion import Clarion, a_recipient
from support.invariants import check
from support.peers import smpp
from support.peers.smpp import SmppPeer
from support.records import Records, until

State = delivery_pb2.Delivery
FILE = """
sms:
  sender: Clarion
  soft_bounces: 1
  senders: {{US: "+12025550123"}}
  keywords: {{stop: [Stopp], help_text: "Questions: help@shop.example"}}
  providers:
    - name: carrier
      smpp: {{host: 127.0.0.1, port: {port}, system_id: clarion, password: {{file: password}}, window: 4{more}}}
"""
TEXT = "Hello {{ recipient.user_id }}, your order is on its way."


@pytest.fixture
async def peer() -> AsyncIterator[SmppPeer]:
    async with smpp.peer(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), trustme.CA()) as made:
        yield made
        await made.close()


@pytest.fixture
async def texting(
    clarion: Clarion, peer: SmppPeer, store: Store, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Clarion]:
    """A Clarion whose worker sends through the SMSC, with a campaign of one text message; `smpp` may be told more."""
    (tmp_path / "password").write_text("right\n")
    file = tmp_path / "channels.yaml"
    file.write_text(FILE.format(port=peer.smsc.port, more=getattr(request, "param", "")))
    await clarion.live_campaign(contents=[a_text()])
    await clarion.work(1, channels=file)
    await peer.smsc.ask("waitSessions", 1)
    yield clarion
    await check(Records(store))


def a_text(**fields: Any) -> campaign_pb2.Content:
    return campaign_pb2.Content(sms=campaign_pb2.SmsContent(**({"text": TEXT} | fields)))


def to(*numbers: str) -> list[trigger_pb2.Recipient]:
    return [a_recipient(index, addresses={"sms": number}) for index, number in enumerate(numbers)]


async def sent(clarion: Clarion, *numbers: str) -> tuple[trigger_pb2.Trigger, list[delivery_pb2.Delivery]]:
    trigger = await clarion.finished((await clarion.trigger(recipients=to(*numbers))).name)
    request = delivery_service_pb2.ListDeliveriesRequest(trigger=trigger.name, page_size=1000)
    return trigger, list((await clarion.deliveries.ListDeliveries(request)).deliveries)


async def feedback(clarion: Clarion, name: str) -> delivery_pb2.FeedbackCounts:
    return (await clarion.triggers.GetTrigger(trigger_calls.GetTriggerRequest(name=name))).trigger.feedback


def receipt(message: dict[str, Any], word: str) -> dict[str, Any]:
    text = f"id:{message['id']} sub:001 dlvrd:001 submit date:2611280800 done date:2611280801 stat:{word} err:001 text:"
    return {"esm_class": 4, "source_addr": message["to"], "destination_addr": message["from"], "short_message": text}


def written(text: str, number: str = "4915100000001") -> dict[str, Any]:
    return {"source_addr_ton": 1, "source_addr": number, "destination_addr": "47110", "short_message": text}


async def test_a_trigger_becomes_text_messages_from_the_senders_of_their_countries(
    texting: Clarion, peer: SmppPeer
) -> None:
    peer.smsc.tell("script", [0, 0])  # whatever the numbers say
    trigger, _ = await sent(texting, "+4915100000001", "+12025550100")
    assert trigger.counts.sent == 2
    found = sorted((message["to"], message["from"], message["text"]) for message in peer.smsc.messages)
    assert found == [
        ("12025550100", "12025550123", "Hello user-1, your order is on its way."),
        ("4915100000001", "Clarion", "Hello user-0, your order is on its way."),
    ]


async def test_receipts_become_facts_of_the_deliveries(texting: Clarion, peer: SmppPeer) -> None:
    trigger, _ = await sent(texting, "+4915100000001", "+4915100000002")
    one, other = peer.smsc.messages
    assert await peer.smsc.ask("deliver", receipt(one, "DELIVRD")) == 0
    assert await peer.smsc.ask("deliver", receipt(one, "DELIVRD")) == 0
    assert await peer.smsc.ask("deliver", receipt(other, "UNDELIV")) == 0
    counts = await feedback(texting, trigger.name)
    assert (counts.delivered, counts.bounced) == (1, 1)


@pytest.mark.parametrize(
    ("texting", "responses", "told"),
    [
        (", receipt_ids: decimal", ["00A1b2", "41394"], "0041394"),
        (", receipt_ids: hex", ["0041394", "10"], "A1B2"),
    ],
    indirect=["texting"],
)
async def test_receipts_that_write_ids_in_another_base_find_their_delivery_and_no_other(
    texting: Clarion, peer: SmppPeer, responses: list[str], told: str
) -> None:
    peer.smsc.tell("ids", responses)
    trigger, _ = await sent(texting, "+4915100000001", "+4915100000002")
    first = next(message for message in peer.smsc.messages if message["id"] == responses[0])
    assert await peer.smsc.ask("deliver", receipt(first | {"id": told}, "DELIVRD")) == 0
    assert await peer.smsc.ask("deliver", receipt(first | {"id": "16"}, "UNDELIV")) == 0  # nobody's
    request = delivery_service_pb2.ListDeliveriesRequest(trigger=trigger.name, page_size=1000)
    found = (await texting.deliveries.ListDeliveries(request)).deliveries
    whose = {"4915100000001": "user-0", "4915100000002": "user-1"}[first["to"]]
    assert [each.user_id for each in found if each.facts] == [whose]
    assert (await feedback(texting, trigger.name)).delivered == 1
    assert (await feedback(texting, trigger.name)).bounced == 0


@pytest.mark.parametrize("texting", [", receipt_ids: decimal"], indirect=True)
async def test_a_receipt_in_another_base_that_overtakes_its_outcome_waits_for_it(
    texting: Clarion, peer: SmppPeer
) -> None:
    assert await peer.smsc.ask("deliver", receipt({"id": "2587", "to": "1", "from": "2"}, "DELIVRD")) == 0
    peer.smsc.tell("ids", ["0A1B"])
    trigger, [delivery] = await sent(texting, "+4915100000001")
    assert (await feedback(texting, trigger.name)).delivered == 1
    assert delivery.provider_message_id == "2587"


async def test_as_many_soft_bounces_as_the_configuration_says_suppress_the_number(
    texting: Clarion, peer: SmppPeer, store: Store
) -> None:
    await sent(texting, "+4915100000001")
    [message] = peer.smsc.messages
    assert await peer.smsc.ask("deliver", receipt(message, "UNDELIV")) == 0
    [entry] = [entry async for entry in Suppressions(store).walk("default", Channel.SMS)]
    assert (entry.target.value, entry.reason) == ("+4915100000001", SuppressionReason.SOFT_BOUNCES)


async def test_what_is_not_final_is_no_fact(texting: Clarion, peer: SmppPeer) -> None:
    trigger, _ = await sent(texting, "+4915100000001")
    [message] = peer.smsc.messages
    for word in ("ENROUTE", "ACCEPTD", "UNKNOWN"):
        assert await peer.smsc.ask("deliver", receipt(message, word)) == 0
    assert await feedback(texting, trigger.name) == delivery_pb2.FeedbackCounts()


async def test_stop_ends_messages_and_start_begins_them_again(texting: Clarion, peer: SmppPeer) -> None:
    assert await peer.smsc.ask("deliver", written("  stopp! ")) == 0
    trigger, [delivery] = await sent(texting, "+4915100000001")
    assert delivery.state == State.STATE_SUPPRESSED
    assert peer.smsc.messages == []
    assert await peer.smsc.ask("deliver", written("Yes, please")) == 0  # no keyword
    assert await peer.smsc.ask("deliver", written("START")) == 0
    trigger, _ = await sent(texting, "+4915100000001")
    assert trigger.counts.sent == 1


async def test_start_removes_nothing_but_what_stop_added(texting: Clarion, peer: SmppPeer, store: Store) -> None:
    await peer.smsc.ask("deliver", written("Stopp"))
    suppressions = Suppressions(store)
    [entry] = [entry async for entry in suppressions.walk("default", Channel.SMS)]
    assert (entry.target.value, entry.source) == ("+4915100000001", "carrier")
    await peer.smsc.ask("deliver", written("START", "4915100000002"))
    assert [entry async for entry in suppressions.walk("default", Channel.SMS)] == [entry]


async def test_help_is_answered_once_from_the_number_that_was_asked(texting: Clarion, peer: SmppPeer) -> None:
    assert await peer.smsc.ask("deliver", written("Help?")) == 0
    assert await peer.smsc.ask("deliver", written("HELP")) == 0
    [answer] = peer.smsc.messages
    assert (answer["to"], answer["from"], answer["text"]) == ("4915100000001", "47110", "Questions: help@shop.example")


async def test_a_receipt_that_comes_before_the_outcome_is_recorded_is_kept_for_it(
    texting: Clarion, peer: SmppPeer
) -> None:
    peer.smsc.tell("hold", True)
    name = (await texting.trigger(recipients=to("+4915100000001"))).name
    await peer.smsc.ask("wait", {"held": 1})
    [message] = peer.smsc.messages
    assert await peer.smsc.ask("deliver", receipt(message, "DELIVRD")) == 0
    peer.smsc.tell("release")
    await texting.finished(name)

    async def is_known() -> bool:
        return (await feedback(texting, name)).delivered == 1

    await until(is_known)
