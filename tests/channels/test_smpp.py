"""SMPP beyond the conformance suite: segments, the window, throttling, binding again, what comes in."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import trustme

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Ambiguous, PermanentFailure, Sent, TransientFailure
from clarion_workers.channels import CutOff
from clarion_workers.channels.sms.inbound import Fate, Inbound, Receipt
from clarion_workers.channels.sms.message import SmsMessage
from clarion_workers.channels.sms.smpp import SmppChannel, jobs
from support.peers import smpp
from support.peers.smpp import SmppPeer

LONG = "0123456789" * 40  # 3 segments
THROTTLED, QUEUE_FULL, SYSTEM_ERROR, NOT_BOUND = 0x58, 0x14, 0x08, 0x04
RECEIPT_TYPE = 4


@pytest.fixture
async def peer(server_tls: ssl.SSLContext, ca: trustme.CA) -> AsyncIterator[SmppPeer]:
    async with smpp.peer(server_tls, ca) as made:
        yield made
        await made.close()


class Listener:
    """Takes in what comes, or says that it can't for now."""

    def __init__(self) -> None:
        self.receipts: asyncio.Queue[Receipt] = asyncio.Queue()
        self.inbound: asyncio.Queue[Inbound] = asyncio.Queue()
        self.broken = False
        self.may = asyncio.Event()
        self.may.set()

    async def on_receipt(self, receipt: Receipt) -> None:
        if self.broken:
            raise ConnectionError("the store is away")
        self.receipts.put_nowait(receipt)
        await self.may.wait()

    async def on_inbound(self, inbound: Inbound) -> None:
        self.inbound.put_nowait(inbound)


def takes(peer: SmppPeer, number: int = 1, text: str = "Hi", **changes: Any) -> SmsMessage:
    return peer.message("takes", number, text, **changes)


def receipt(message_id: str, word: str = "DELIVRD") -> dict[str, Any]:
    return {
        "esm_class": RECEIPT_TYPE,
        "source_addr": "4915100000001",
        "destination_addr": "Clarion",
        "short_message": f"id:{message_id} sub:001 dlvrd:001 submit date:2611280800 done date:2611280801 stat:{word} "
        "err:000 text:Hi",
    }


async def one(channel: SmppChannel, message: SmsMessage) -> Any:
    [outcome] = await channel.send([message])
    return outcome


# Segments.


@pytest.mark.parametrize(
    ("text", "segments", "coding"),
    [
        ("a" * 160, 1, 0),
        ("a" * 161, 2, 0),
        ("[€]" * 100, 4, 0),
        ("Ω" * 459, 3, 0),
        ("ы" * 70, 1, 8),
        ("ы" * 71, 2, 8),
        ("🎁" * 100, 4, 8),
    ],
)
async def test_a_long_text_arrives_in_as_many_segments_as_are_counted(
    peer: SmppPeer, text: str, segments: int, coding: int
) -> None:
    outcome = await one(peer.channel(window=10), takes(peer, text=text))
    assert isinstance(outcome, Sent)
    [message] = peer.smsc.messages
    assert (message["text"], message["segments"], message["coding"]) == (text, segments, coding)
    assert len(outcome.provider_id.split()) == segments


async def test_receipts_are_asked_of_the_last_segment_and_of_failures_of_the_others(peer: SmppPeer) -> None:
    outcome = await one(peer.channel(window=10), takes(peer, text=LONG))
    [message] = peer.smsc.messages
    assert isinstance(outcome, Sent)
    assert outcome.provider_id == "m3 m1 m2"
    assert message["registered"] == 1
    assert message["id"] == "m3"


async def test_ids_of_many_segments_are_as_many_as_fit_whole(peer: SmppPeer) -> None:
    outcome = await one(peer.channel(window=10), takes(peer, text="a" * 153 * 50))
    assert isinstance(outcome, Sent)
    assert len(outcome.provider_id) <= 128
    assert outcome.provider_id.split() == ["m50", *(f"m{n}" for n in range(1, len(outcome.provider_id.split())))]


async def test_more_segments_than_can_be_numbered_are_refused_here(peer: SmppPeer) -> None:
    outcome = await one(peer.channel(), takes(peer, text="a" * (153 * 255 + 1)))
    assert isinstance(outcome, PermanentFailure)
    assert outcome.reason is Reason.MESSAGE_REFUSED
    assert peer.received() == []


async def test_a_first_segment_that_is_refused_decides_for_all(peer: SmppPeer) -> None:
    peer.smsc.tell("script", [SYSTEM_ERROR])
    outcome = await one(peer.channel(window=10), takes(peer, text=LONG))
    assert isinstance(outcome, TransientFailure)
    assert peer.received() == []
    assert isinstance(await one(peer.channel(), takes(peer, 2, LONG)), Sent)
    assert peer.received() == ["00j4k-2"]


@pytest.mark.parametrize("answer", [SYSTEM_ERROR, 0x0B, "drop"])
async def test_a_later_segment_that_fails_leaves_the_message_in_doubt(peer: SmppPeer, answer: int | str) -> None:
    peer.smsc.tell("script", [0, 0, answer])
    outcome = await one(peer.channel(window=1), takes(peer, text=LONG))
    assert isinstance(outcome, Ambiguous)
    assert outcome.detail.startswith("2 of 3 segments taken, then: ")


async def test_a_later_segment_that_was_too_much_at_once_goes_out_again_by_itself(peer: SmppPeer) -> None:
    peer.smsc.tell("script", [0, THROTTLED, 0, 0])
    outcome = await one(peer.channel(window=10), takes(peer, text=LONG))
    assert isinstance(outcome, Sent)
    [message] = peer.smsc.messages
    assert message["text"] == LONG


async def test_a_segment_that_is_always_too_much_ends_in_doubt(peer: SmppPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "REPEATS_MAX", 1)
    peer.smsc.tell("script", [0, THROTTLED, THROTTLED])
    outcome = await one(peer.channel(window=1), takes(peer, text=LONG))
    assert isinstance(outcome, Ambiguous)
    assert "ESME_RTHROTTLED" in outcome.detail


async def test_segments_that_are_not_written_yet_go_on_over_another_session(peer: SmppPeer) -> None:
    peer.smsc.tell("hold", True)
    channel = peer.channel(binds=1, window=1)
    sending = asyncio.create_task(one(channel, takes(peer, text=LONG)))
    await peer.smsc.ask("wait", {"held": 1})
    unbound = asyncio.create_task(peer.smsc.ask("unbind"))
    await peer.smsc.ask("enquire")  # so the unbind has been read
    peer.smsc.tell("release")
    assert await unbound == 0
    assert isinstance(await sending, Sent)
    assert len(peer.smsc.tell("state")["binds"]) == 2
    assert [message["text"] for message in peer.smsc.messages] == [LONG]


async def test_a_call_that_is_cut_off_amid_a_message_leaves_it_in_doubt_and_sends_no_more_of_it(peer: SmppPeer) -> None:
    peer.smsc.tell("script", [0, "hang"])
    channel = peer.channel(binds=1, window=1)
    sending = asyncio.create_task(channel.send([takes(peer, text=LONG), takes(peer, 2)]))
    await peer.smsc.ask("wait", {"held": 1})
    sending.cancel()
    with pytest.raises(CutOff) as cut:
        await sending
    doubt, other = cut.value.outcomes
    assert isinstance(doubt, Ambiguous)
    assert doubt.detail.startswith("1 of 3 segments taken")
    assert other is None
    peer.smsc.tell("release")
    assert isinstance(await one(channel, takes(peer, 3)), Sent)
    assert peer.received() == ["00j4k-3"]


# Addresses.


@pytest.mark.parametrize(
    ("sender", "address", "kind"),
    [
        ("+12025550123", "12025550123", [1, 1]),
        ("47110", "47110", [3, 0]),
        ("Lumen Loom", "Lumen Loom", [5, 0]),
        ("", "", [0, 0]),
    ],
)
async def test_a_sender_is_said_to_be_what_it_is(peer: SmppPeer, sender: str, address: str, kind: list[int]) -> None:
    assert isinstance(await one(peer.channel(service_type="CMT"), takes(peer, sender=sender)), Sent)
    [message] = peer.smsc.messages
    assert (message["from"], message["fromKind"], message["toKind"]) == (address, kind, [1, 1])
    assert message["service"] == "CMT"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sender": "Grüße"}, Reason.MESSAGE_REFUSED),
        ({"sender": "a\0b"}, Reason.MESSAGE_REFUSED),
        ({"to_number": "0151"}, Reason.RECIPIENT_REFUSED),
        ({"to_number": "+49\x00151"}, Reason.RECIPIENT_REFUSED),
    ],
)
async def test_what_is_no_address_is_refused_here(peer: SmppPeer, changes: dict[str, str], reason: Reason) -> None:
    bad, good = await peer.channel().send([takes(peer, 1, **changes), takes(peer, 2)])
    assert isinstance(bad, PermanentFailure)
    assert bad.reason is reason
    assert isinstance(good, Sent)


async def test_the_reference_is_the_same_in_every_attempt_and_another_for_another_message(peer: SmppPeer) -> None:
    channel = peer.channel()
    await channel.send([takes(peer, 1), takes(peer, 1), takes(peer, 2)])
    found = [(message["to"], message["reference"]) for message in peer.smsc.messages]
    assert len(found) == 3
    assert len({reference for _, reference in found}) == 2
    assert len(set(found)) == 2


# The window, throttling.


async def test_the_window_bounds_what_is_unanswered(peer: SmppPeer) -> None:
    channel = peer.channel(binds=1, window=5)
    assert isinstance(await one(channel, takes(peer, 0)), Sent)
    peer.smsc.tell("hold", True)
    sending = asyncio.create_task(channel.send([takes(peer, n) for n in range(1, 30)]))
    await peer.smsc.ask("wait", {"held": 5})
    await peer.smsc.ask("enquire")
    assert peer.smsc.tell("state")["mostUnanswered"] == 5
    peer.smsc.tell("release")
    assert all(isinstance(outcome, Sent) for outcome in await sending)
    assert peer.smsc.tell("state")["mostUnanswered"] == 5


async def test_an_smsc_that_never_answers_gets_one_message_of_a_window(peer: SmppPeer) -> None:
    peer.smsc.tell("script", ["drop"])
    channel = peer.channel(binds=1, window=10)
    outcomes = await channel.send([takes(peer, n) for n in range(10)])
    assert [type(outcome) for outcome in outcomes] == [Ambiguous] + [Sent] * 9


@pytest.mark.parametrize("status", [THROTTLED, QUEUE_FULL])
async def test_too_much_at_once_is_transient_and_halves_the_window(peer: SmppPeer, status: int) -> None:
    channel = peer.channel(binds=1, window=8)
    assert isinstance(await one(channel, takes(peer, 0)), Sent)
    [session] = channel._sessions._bound
    assert session.window == 8
    peer.smsc.tell("script", [status])
    outcomes = await channel.send([takes(peer, n) for n in range(1, 9)])
    assert isinstance(outcomes[0], TransientFailure)
    assert outcomes[0].reason is Reason.PROVIDER_DEFERRED
    assert outcomes[0].retry_after_s == pytest.approx(0.5)
    assert [type(outcome) for outcome in outcomes[1:]] == [Sent] * 7
    assert session.window == 4 + 1  # and a windowful later, one larger
    await channel.send([takes(peer, n) for n in range(9, 60)])
    assert session.window == 8


async def test_an_smsc_that_takes_too_little_for_too_long_gives_the_rest_back(peer: SmppPeer) -> None:
    channel = peer.channel(binds=1, window=1, timeout_s=0.2)
    peer.smsc.tell("script", [THROTTLED])
    outcomes = await channel.send([takes(peer, n) for n in range(5)])
    assert {type(outcome) for outcome in outcomes} == {TransientFailure}
    assert {outcome.reason for outcome in outcomes} == {Reason.PROVIDER_DEFERRED}  # type: ignore[union-attr]
    assert peer.received() == []
    assert isinstance(await one(channel, takes(peer, 9)), Sent)


# Sessions: unanswered, unbound, lost, bound again.


async def test_one_message_that_is_not_answered_ends_alone(peer: SmppPeer) -> None:
    channel = peer.channel(binds=1, window=10, timeout_s=0.3)
    assert isinstance(await one(channel, takes(peer, 0)), Sent)
    hanging = asyncio.create_task(one(channel, peer.message("hangs after hand-over", 1)))
    await peer.wait_for(2)
    while not hanging.done():
        assert isinstance(await one(channel, takes(peer, 2)), Sent)
    assert isinstance(await hanging, Ambiguous)
    assert len(peer.smsc.tell("state")["binds"]) == 1


async def test_an_answer_that_comes_too_late_changes_nothing(peer: SmppPeer) -> None:
    channel = peer.channel(binds=1, window=1, timeout_s=5)
    sending = asyncio.create_task(one(channel, peer.message("hangs after hand-over", 1)))
    await peer.smsc.ask("wait", {"held": 1})
    sending.cancel()
    with pytest.raises(CutOff):
        await sending
    peer.smsc.tell("release")
    assert isinstance(await one(channel, takes(peer, 2)), Sent)


async def test_an_unbind_of_the_smsc_is_answered_once_all_is_and_the_rest_goes_over_a_new_session(
    peer: SmppPeer,
) -> None:
    channel = peer.channel(binds=1, window=2)
    assert isinstance(await one(channel, takes(peer, 0)), Sent)
    peer.smsc.tell("hold", True)
    sending = asyncio.create_task(channel.send([takes(peer, n) for n in range(1, 6)]))
    await peer.smsc.ask("wait", {"held": 2})
    unbound = asyncio.create_task(peer.smsc.ask("unbind"))
    await peer.smsc.ask("enquire")
    assert peer.smsc.tell("state")["held"] == 2
    peer.smsc.tell("release")
    assert await unbound == 0
    assert all(isinstance(outcome, Sent) for outcome in await sending)
    assert len(peer.smsc.tell("state")["binds"]) == 2
    assert sorted(peer.received()) == [f"00j4k-{n}" for n in range(6)]


async def test_a_session_that_the_smsc_no_longer_knows_is_replaced(peer: SmppPeer) -> None:
    channel = peer.channel(binds=1)
    peer.smsc.tell("script", [NOT_BOUND])
    outcome = await one(channel, takes(peer, 1))
    assert isinstance(outcome, TransientFailure)
    assert isinstance(await one(channel, takes(peer, 2)), Sent)
    assert len(peer.smsc.tell("state")["binds"]) == 2


async def test_a_nack_of_a_message_is_a_refusal(peer: SmppPeer) -> None:
    peer.smsc.tell("script", ["nack"])
    outcome = await one(peer.channel(), takes(peer, 1))
    assert isinstance(outcome, PermanentFailure)
    assert outcome.reason is Reason.PROVIDER_UNSUPPORTED


@pytest.mark.parametrize("octets", ["0000000000000000", "ffffffff0000000500000000000000010000", "00" * 16])
async def test_what_is_no_smpp_ends_the_session_and_not_the_channel(peer: SmppPeer, octets: str) -> None:
    channel = peer.channel(binds=1)
    assert isinstance(await one(channel, takes(peer, 1)), Sent)
    peer.smsc.tell("octets", octets.ljust(32, "0"))
    await peer.smsc.ask("waitSessions", 0)
    assert isinstance(await one(channel, takes(peer, 2)), Sent)


async def test_lost_sessions_are_bound_again_without_anything_to_send(peer: SmppPeer) -> None:
    channel = peer.channel(binds=1, ears=Listener())
    await channel.listen()
    await peer.smsc.ask("waitSessions", 1)
    peer.smsc.tell("drop")
    await peer.smsc.ask("wait", {"binds": 2})
    await peer.smsc.ask("waitSessions", 1)
    assert isinstance(await one(channel, takes(peer, 1)), Sent)


async def test_after_a_refused_bind_nothing_is_asked_of_the_smsc_for_a_while(peer: SmppPeer) -> None:
    peer.smsc.tell("refuse", SYSTEM_ERROR)
    channel = peer.channel()
    outcomes = [await one(channel, takes(peer, n)) for n in range(20)]
    assert {(type(outcome), outcome.reason) for outcome in outcomes} == {(TransientFailure, Reason.PROVIDER_DEFERRED)}
    assert len(peer.smsc.tell("state")["binds"]) == 1


async def test_a_channel_that_listens_binds_as_soon_as_the_smsc_lets_it(peer: SmppPeer) -> None:
    peer.smsc.tell("refuse", SYSTEM_ERROR)
    channel = peer.channel(ears=Listener())
    await channel.listen()
    await peer.smsc.ask("wait", {"binds": 2})
    peer.smsc.tell("refuse", 0)
    await peer.smsc.ask("waitSessions", 1)
    assert isinstance(await one(channel, takes(peer, 1)), Sent)


async def test_each_asks_whether_the_other_is_there(peer: SmppPeer) -> None:
    channel = peer.channel(binds=1, enquire_s=0.05)
    assert isinstance(await one(channel, takes(peer, 1)), Sent)
    await peer.smsc.ask("wait", {"enquiries": 3})
    assert await peer.smsc.ask("enquire") == 0
    assert len(peer.smsc.tell("state")["binds"]) == 1


async def test_an_smsc_that_does_not_say_that_it_is_there_is_left(peer: SmppPeer) -> None:
    channel = peer.channel(binds=1, enquire_s=0.05, timeout_s=0.2)
    assert isinstance(await one(channel, takes(peer, 1)), Sent)
    peer.smsc.tell("mute", True)
    await peer.smsc.ask("wait", {"enquiries": 1})
    await peer.smsc.ask("waitSessions", 0)
    peer.smsc.tell("mute", False)
    assert isinstance(await one(channel, takes(peer, 2)), Sent)


async def test_the_end_is_said(peer: SmppPeer) -> None:
    channel = peer.channel(binds=2)
    await channel.send([takes(peer, n) for n in range(20)])
    await channel.close()
    await peer.smsc.ask("wait", {"unbinds": 1})
    await peer.smsc.ask("waitSessions", 0)


async def test_messages_go_over_tls_where_that_is_asked(peer: SmppPeer, tmp_path: Path) -> None:
    authorities = tmp_path / "ca.pem"
    peer.smsc.ca.cert_pem.write_to_path(authorities)
    channel = peer.channel(port=peer.smsc.tls_port, tls=True, ca_file=authorities)
    assert isinstance(await one(channel, takes(peer, 1)), Sent)
    assert peer.smsc.tell("state")["binds"][0] == {"system_id": "clarion", "system_type": "", "version": 0x34}


async def test_what_is_too_late_for_a_bind_is_not_handed_over(peer: SmppPeer) -> None:
    outcome = await one(peer.channel(), takes(peer, 1, deadline_s=time.monotonic() - 1))
    assert isinstance(outcome, TransientFailure)
    assert outcome.reason is Reason.EXPIRED


# What comes in.


async def test_a_receipt_is_answered_once_it_is_taken_in(peer: SmppPeer) -> None:
    listener = Listener()
    channel = peer.channel(ears=listener)
    sent = await one(channel, takes(peer, 1))
    listener.may.clear()
    answered = asyncio.create_task(peer.smsc.ask("deliver", receipt(sent.provider_id)))
    assert await listener.receipts.get() == Receipt(message_id=sent.provider_id, fate=Fate.DELIVERED, error="000")
    assert await peer.smsc.ask("enquire") == 0  # and meanwhile everything else goes on
    assert not answered.done()
    listener.may.set()
    assert await answered == 0


async def test_a_receipt_that_could_not_be_taken_in_comes_again(peer: SmppPeer) -> None:
    listener = Listener()
    channel = peer.channel(ears=listener)
    await channel.listen()
    await peer.smsc.ask("waitSessions", 1)
    listener.broken = True
    with structlog.testing.capture_logs() as lines:
        assert await peer.smsc.ask("deliver", receipt("m1")) == 0x64
    assert [line["event"] for line in lines if line["log_level"] != "debug"] == ["not_taken_in"]
    assert "m1" not in repr(lines)
    listener.broken = False
    assert await peer.smsc.ask("deliver", receipt("m1", "UNDELIV")) == 0
    assert (await listener.receipts.get()).fate is Fate.UNDELIVERABLE


async def test_a_receipt_that_comes_with_the_answer_to_the_bind_is_not_lost(peer: SmppPeer) -> None:
    listener = Listener()
    peer.smsc.tell("earlyReceipt", receipt("m1"))
    channel = peer.channel(ears=listener)
    await channel.listen()
    assert (await listener.receipts.get()).message_id == "m1"
    await peer.smsc.ask("wait", {"answered": 1})
    assert peer.smsc.tell("state")["answered"] == [0]


async def test_what_people_write_is_heard(peer: SmppPeer) -> None:
    listener = Listener()
    channel = peer.channel(ears=listener)
    await channel.listen()
    await peer.smsc.ask("waitSessions", 1)
    written = {
        "source_addr_ton": 1,
        "source_addr": "4915112345678",
        "destination_addr": "47110",
        "data_coding": 8,
        "short_message": "Стоп 🎁",
    }
    assert await peer.smsc.ask("deliver", written) == 0
    assert await listener.inbound.get() == Inbound(from_number="+4915112345678", to_number="47110", text="Стоп 🎁")


async def test_without_ears_what_comes_in_is_refused(peer: SmppPeer) -> None:
    channel = peer.channel()
    assert isinstance(await one(channel, takes(peer, 1)), Sent)
    assert await peer.smsc.ask("deliver", receipt("m1")) == 0x66


async def test_receipts_that_are_not_wanted_are_not_asked_for(peer: SmppPeer) -> None:
    assert isinstance(await one(peer.channel(receipts=False), takes(peer, 1)), Sent)
    assert peer.smsc.messages[0]["registered"] == 0


async def test_latin_1_is_written_where_that_is_the_smscs_alphabet(peer: SmppPeer) -> None:
    assert isinstance(await one(peer.channel(default_alphabet="latin1"), takes(peer, 1, "@$ Grüße")), Sent)
    [message] = peer.smsc.messages
    assert message["coding"] == 0
    assert message["text"] == "¡¤ Gr  e"  # this SMSC reads GSM, in which those octets say so
