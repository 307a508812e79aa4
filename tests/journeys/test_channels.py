"""One campaign on several channels: each message arrives once, and no channel waits for another's trouble."""

from __future__ import annotations

import json
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import trustme

from clarion.v1.campaign_pb2 import Campaign, Content, PushContent, SmsContent, WebhookContent
from clarion.v1.delivery_pb2 import Delivery
from clarion.v1.trigger_pb2 import Trigger
from clarion_client.values import to_struct
from clarion_core.domain.medium import Channel
from clarion_stack.arrivals import arrivals_in
from clarion_stack.hooks import VALID
from clarion_stack.local import LOOPBACK, free_port
from clarion_stack.mailbox import Mailbox
from clarion_stack.peers import Peers
from support.clarion import an_email
from support.journey import CAMPAIGN, PER_CALL, Journey
from support.peers import smpp
from support.peers.smpp import PASSWORD, Smsc

pytestmark = pytest.mark.journey

QUICKLY = {"lease_s": 2, "sweep_s": 0.2}
SMS = Content(sms=SmsContent(sender="Shop", text="Hello {{ recipient.user_id }}"))
PUSH = Content(push=PushContent(title="Hello {{ recipient.user_id }}", body="Look"))
WEBHOOK = Content(webhook=WebhookContent())
WEBHOOK.webhook.body.struct_value.CopyFrom(to_struct({"user": "{{ recipient.user_id }}"}))

CHANNELS = """\
email: {{providers: [{{name: sink, smtp: {{host: 127.0.0.1, port: {mail}}}}}]}}
sms:
  providers:
    - name: smsc
      smpp: {{host: 127.0.0.1, port: {sms}, system_id: clarion, password: {{file: password}}, timeout_s: 120}}
"""


@pytest.fixture
async def smsc() -> AsyncIterator[Smsc]:
    """npm's `smpp` as the SMSC."""
    async with smpp.peer(ssl.create_default_context(), trustme.CA()) as peer:
        yield peer.smsc


def both(journey: Journey, smsc: Smsc) -> Path:
    """A configuration of mail and text messages."""
    (journey.directory / "password").write_text(PASSWORD)
    file = journey.directory / "both.yaml"
    file.write_text(CHANNELS.format(mail=journey.sink.port, sms=smsc.port))
    return file


def person(index: int, email: str = "") -> dict[str, Any]:
    """Somebody with a mailbox and a phone, whose number has the SMSC take messages."""
    addresses = {"email": email or f"user-{index}@example.com", "sms": f"+4915100{index:05}"}
    return {"user_id": f"user-{index}", "addresses": addresses}


async def trigger(journey: Journey, people: Sequence[dict[str, Any]]) -> list[str]:
    """Calls of 100 recipients; the triggers' names. Everybody is accepted on both channels."""
    names = []
    for at in range(0, len(people), PER_CALL):
        some = people[at : at + PER_CALL]
        answer = await journey.client.create_trigger(CAMPAIGN, some)
        assert answer.trigger.counts.accepted == 2 * len(some)
        names.append(answer.trigger.name)
    return names


async def finished(journey: Journey, names: Iterable[str]) -> None:
    """Wait until all is accounted for, by the service's word."""
    for name in names:
        async for _ in journey.client.watch_trigger(name):
            continue


async def sent(journey: Journey, name: str, count: int) -> Trigger:
    """The trigger once so many of its messages were sent."""
    async with aclosing(journey.client.watch_trigger(name)) as steps:
        async for step in steps:
            if max(step.change.counts.sent, step.snapshot.counts.sent) >= count:
                break
    return await journey.client.get_trigger(name)


async def deliveries(journey: Journey, names: Iterable[str]) -> list[Delivery]:
    return [each for name in names async for each in journey.client.list_deliveries(name, page_size=500)]


def states(found: Iterable[Delivery]) -> Counter[tuple[str, str]]:
    return Counter((each.channel, Delivery.State.Name(each.state).removeprefix("STATE_")) for each in found)


async def check_accounts(journey: Journey, names: Sequence[str], found: Sequence[Delivery]) -> None:
    """Triggers and their campaign say what the deliveries are."""
    counts = [(await journey.client.get_trigger(name)).counts for name in names]
    campaign = (await journey.client.get_campaign(CAMPAIGN)).counts
    for account in (*counts, campaign):
        ends = account.sent + account.failed + account.suppressed + account.expired + account.cancelled
        assert account.accepted == account.in_flight + ends + account.ambiguous
    assert campaign.accepted == sum(each.accepted for each in counts) == len(found)
    assert campaign.sent == sum(each.state == Delivery.STATE_SENT for each in found)


async def test_one_trigger_on_four_channels_arrives_at_four_peers(journey: Journey) -> None:
    peers = Peers(home=journey.directory, host=LOOPBACK, sms=free_port(), push=free_port(), webhook=free_port())
    mail = f"email: {{providers: [{{name: sink, smtp: {{host: 127.0.0.1, port: {journey.sink.port}}}}}]}}\n"
    (journey.directory / "four.yaml").write_text(mail + peers.write())
    mailbox = Mailbox(journey.directory / "mail")
    async with arrivals_in(mailbox) as arrivals, peers.catching(arrivals):
        await journey.server()
        await journey.worker(channels=journey.directory / "four.yaml")
        await journey.campaign(contents=[an_email(), SMS, PUSH, WEBHOOK])
        ana = person(1) | {"devices": [{"platform": "fcm", "token": token} for token in ("phone:1", "tablet:1")]}
        ana["addresses"]["webhook"] = "https://hooks.partner.example/ana"
        answer = await journey.client.create_trigger(CAMPAIGN, [ana])
        assert answer.trigger.counts.accepted == 5
        await finished(journey, [answer.trigger.name])
    found = await deliveries(journey, [answer.trigger.name])
    assert states(found) == {("email", "SENT"): 1, ("sms", "SENT"): 1, ("push", "SENT"): 2, ("webhook", "SENT"): 1}
    assert journey.sink.recipients() == {"user-1@example.com": 1}
    kept = {
        channel: [json.loads(path.read_bytes()) for path in mailbox.files(channel)]
        for channel in (Channel.SMS, Channel.PUSH, Channel.WEBHOOK)
    }
    [text], notes, [call] = kept.values()
    assert (text["to"], text["parts"]) == ("+491510000001", ["Hello user-1"])
    assert {note["device"] for note in notes} == {"phone:1", "tablet:1"}
    assert {note["message"]["notification"]["title"] for note in notes} == {"Hello user-1"}
    assert (call["url"], call["signature"]) == ("https://hooks.partner.example/ana", VALID)
    assert json.loads(call["body"]) == {"user": "user-1"}


async def test_a_killed_worker_loses_no_message_of_either_channel_and_doubles_none_unnoticed(
    journey: Journey, smsc: Smsc
) -> None:
    count, middle, window = 2_000, 500, 64
    hanging = "dot-hang-once+middle@example.com"  # taken by the sink and not answered the first time
    people = [person(index, hanging if index == middle else "") for index in range(count)]
    channels = both(journey, smsc)
    smsc.tell("script", [0] * middle + ["hang"] * window)  # and from the middle on, texts are taken and not answered
    await journey.server()
    await journey.campaign(contents=[an_email(), SMS], ambiguity_policy=Campaign.AMBIGUITY_POLICY_AT_LEAST_ONCE)
    first = await journey.worker(channels=channels, window=window, **QUICKLY)
    names = await trigger(journey, people[: 2 * middle])
    await journey.sink.wait_for_recipient(hanging)
    await smsc.ask("wait", {"held": 1})
    await first.kill()
    smsc.tell("release")
    names += await trigger(journey, people[2 * middle :])
    await journey.worker(channels=channels, window=window, **QUICKLY)
    await finished(journey, names)

    found = await deliveries(journey, names)
    assert states(found) == {("email", "SENT"): count, ("sms", "SENT"): count}
    await check_accounts(journey, names, found)
    addresses = {each["user_id"]: each["addresses"] for each in people}
    arrived = journey.sink.recipients() + Counter(f"+{message['to']}" for message in smsc.messages)
    for each in found:
        copies = arrived.pop(addresses[each.user_id][each.channel])
        assert 1 <= copies <= 1 + each.ambiguous_attempts, each
    assert not arrived, "nobody got what was not for them"
    unsure = Counter(each.channel for each in found if each.ambiguous_attempts)
    assert 1 <= unsure["email"] <= window
    assert 1 <= unsure["sms"] <= window


async def test_an_smsc_that_never_answers_does_not_hold_up_the_mail_of_the_same_campaign(
    journey: Journey, smsc: Smsc
) -> None:
    count = 300
    smsc.tell("hold", True)
    await journey.server()
    await journey.worker(channels=both(journey, smsc))
    await journey.campaign(contents=[an_email(), SMS])
    people = [person(index) for index in range(count)]
    names = await trigger(journey, people)
    for name in names:
        counts = (await sent(journey, name, PER_CALL)).counts
        assert (counts.sent, counts.in_flight) == (PER_CALL, PER_CALL)
    waiting = states(await deliveries(journey, names))
    assert waiting["email", "SENT"] == count
    assert waiting["sms", "QUEUED"] + waiting["sms", "SENDING"] == count
    assert len(journey.sink.taken()) == count
    smsc.tell("release")
    await finished(journey, names)
    found = await deliveries(journey, names)
    assert states(found) == {("email", "SENT"): count, ("sms", "SENT"): count}
    assert not any(each.ambiguous_attempts for each in found)
    await check_accounts(journey, names, found)


async def test_a_trigger_is_paused_resumed_and_cancelled_on_all_its_channels(journey: Journey, smsc: Smsc) -> None:
    await journey.server()
    await journey.campaign(contents=[an_email(), SMS])
    [resumed] = await trigger(journey, [person(index) for index in range(50)])
    [cancelled] = await trigger(journey, [person(index) for index in range(50, 100)])
    for name in (resumed, cancelled):
        await journey.client.pause_trigger(name)
    [going] = await trigger(journey, [person(index) for index in range(100, 150)])
    await journey.worker(channels=both(journey, smsc), **QUICKLY)
    await finished(journey, [going])  # which was behind the others in both queues
    assert (len(journey.sink.taken()), len(smsc.messages)) == (50, 50)
    assert (await journey.client.get_trigger(resumed)).counts.in_flight == 100

    await journey.client.cancel_trigger(cancelled)
    await journey.client.resume_trigger(resumed)
    await finished(journey, [resumed, cancelled])
    assert states(await deliveries(journey, [cancelled])) == {("email", "CANCELLED"): 50, ("sms", "CANCELLED"): 50}
    assert states(await deliveries(journey, [resumed])) == {("email", "SENT"): 50, ("sms", "SENT"): 50}
    assert (len(journey.sink.taken()), len(smsc.messages)) == (100, 100)
    names = [going, resumed, cancelled]
    await check_accounts(journey, names, await deliveries(journey, names))


async def test_what_no_worker_is_configured_for_waits_for_one_that_is(journey: Journey, smsc: Smsc) -> None:
    await journey.server()
    await journey.campaign(contents=[an_email(), SMS])
    await journey.worker(**QUICKLY)  # knows of mail alone
    [name] = await trigger(journey, [person(index) for index in range(20)])
    assert (await sent(journey, name, 20)).counts.in_flight == 20
    assert states(await deliveries(journey, [name])) == {("email", "SENT"): 20, ("sms", "QUEUED"): 20}
    await journey.worker(channels=both(journey, smsc), **QUICKLY)
    await finished(journey, [name])
    found = await deliveries(journey, [name])
    assert states(found) == {("email", "SENT"): 20, ("sms", "SENT"): 20}
    assert {each.attempts for each in found} == {1}
    assert len(smsc.messages) == 20
