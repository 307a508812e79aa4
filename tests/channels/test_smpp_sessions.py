"""SMPP beyond the conformance suite: sessions that end and are bound again, and what comes in over them."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
import structlog

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Ambiguous, PermanentFailure, Sent, TransientFailure
from clarion_workers.channels import CutOff
from clarion_workers.channels.sms.inbound import Fate, Inbound, Receipt
from support.peers.smpp import SmppPeer
from support.smpp_calls import (
    NOT_BOUND,
    SYSTEM_ERROR,
    Listener,
    one,
    receipt,
    takes,
)

# Sessions: unanswered, unbound, lost, bound again.


async def test_one_message_that_is_not_answered_ends_alone(smsc: SmppPeer) -> None:
    channel = smsc.channel(binds=1, window=10, timeout_s=1.0)
    assert isinstance(await one(channel, takes(smsc, 0)), Sent)
    hanging = asyncio.create_task(one(channel, smsc.message("hangs after hand-over", 1)))
    await smsc.wait_for(2)
    while not hanging.done():
        assert isinstance(await one(channel, takes(smsc, 2)), Sent)
    assert isinstance(await hanging, Ambiguous)
    assert len(smsc.smsc.tell("state")["binds"]) == 1


async def test_an_answer_that_comes_too_late_changes_nothing(smsc: SmppPeer) -> None:
    channel = smsc.channel(binds=1, window=1, timeout_s=5)
    sending = asyncio.create_task(one(channel, smsc.message("hangs after hand-over", 1)))
    await smsc.smsc.ask("wait", {"held": 1})
    sending.cancel()
    with pytest.raises(CutOff):
        await sending
    smsc.smsc.tell("release")
    assert isinstance(await one(channel, takes(smsc, 2)), Sent)


async def test_an_unbind_of_the_smsc_is_answered_once_all_is_and_the_rest_goes_over_a_new_session(
    smsc: SmppPeer,
) -> None:
    channel = smsc.channel(binds=1, window=2)
    assert isinstance(await one(channel, takes(smsc, 0)), Sent)
    smsc.smsc.tell("hold", True)
    sending = asyncio.create_task(channel.send([takes(smsc, n) for n in range(1, 6)]))
    await smsc.smsc.ask("wait", {"held": 2})
    unbound = asyncio.create_task(smsc.smsc.ask("unbind"))
    await smsc.smsc.ask("enquire")
    assert smsc.smsc.tell("state")["held"] == 2
    smsc.smsc.tell("release")
    assert await unbound == 0
    assert all(isinstance(outcome, Sent) for outcome in await sending)
    assert len(smsc.smsc.tell("state")["binds"]) == 2
    assert sorted(smsc.received()) == [f"00j4k-{n}" for n in range(6)]


async def test_a_session_that_the_smsc_no_longer_knows_is_replaced(smsc: SmppPeer) -> None:
    channel = smsc.channel(binds=1)
    smsc.smsc.tell("script", [NOT_BOUND])
    outcome = await one(channel, takes(smsc, 1))
    assert isinstance(outcome, TransientFailure)
    assert isinstance(await one(channel, takes(smsc, 2)), Sent)
    assert len(smsc.smsc.tell("state")["binds"]) == 2


async def test_a_nack_of_a_message_is_a_refusal(smsc: SmppPeer) -> None:
    smsc.smsc.tell("script", ["nack"])
    outcome = await one(smsc.channel(), takes(smsc, 1))
    assert isinstance(outcome, PermanentFailure)
    assert outcome.reason is Reason.PROVIDER_UNSUPPORTED


@pytest.mark.parametrize("octets", ["0000000000000000", "ffffffff0000000500000000000000010000", "00" * 16])
async def test_what_is_no_smpp_ends_the_session_and_not_the_channel(smsc: SmppPeer, octets: str) -> None:
    channel = smsc.channel(binds=1)
    assert isinstance(await one(channel, takes(smsc, 1)), Sent)
    smsc.smsc.tell("octets", octets.ljust(32, "0"))
    await smsc.smsc.ask("waitSessions", 0)
    assert isinstance(await one(channel, takes(smsc, 2)), Sent)


async def test_lost_sessions_are_bound_again_without_anything_to_send(smsc: SmppPeer) -> None:
    channel = smsc.channel(binds=1, ears=Listener())
    await channel.listen()
    await smsc.smsc.ask("waitSessions", 1)
    smsc.smsc.tell("drop")
    await smsc.smsc.ask("wait", {"binds": 2})
    await smsc.smsc.ask("waitSessions", 1)
    assert isinstance(await one(channel, takes(smsc, 1)), Sent)


async def test_after_a_refused_bind_nothing_is_asked_of_the_smsc_for_a_while(smsc: SmppPeer) -> None:
    smsc.smsc.tell("refuse", SYSTEM_ERROR)
    channel = smsc.channel()
    outcomes = [await one(channel, takes(smsc, n)) for n in range(20)]
    assert {(type(outcome), outcome.reason) for outcome in outcomes} == {(TransientFailure, Reason.PROVIDER_DEFERRED)}
    assert len(smsc.smsc.tell("state")["binds"]) == 1


async def test_a_channel_that_listens_binds_as_soon_as_the_smsc_lets_it(smsc: SmppPeer) -> None:
    smsc.smsc.tell("refuse", SYSTEM_ERROR)
    channel = smsc.channel(ears=Listener())
    await channel.listen()
    await smsc.smsc.ask("wait", {"binds": 2})
    smsc.smsc.tell("refuse", 0)
    await smsc.smsc.ask("waitSessions", 1)
    assert isinstance(await one(channel, takes(smsc, 1)), Sent)


async def test_each_asks_whether_the_other_is_there(smsc: SmppPeer) -> None:
    channel = smsc.channel(binds=1, enquire_s=0.05)
    assert isinstance(await one(channel, takes(smsc, 1)), Sent)
    await smsc.smsc.ask("wait", {"enquiries": 3})
    assert await smsc.smsc.ask("enquire") == 0
    assert len(smsc.smsc.tell("state")["binds"]) == 1


async def test_an_smsc_that_does_not_say_that_it_is_there_is_left(smsc: SmppPeer) -> None:
    channel = smsc.channel(binds=1, enquire_s=0.05, timeout_s=1.0)
    assert isinstance(await one(channel, takes(smsc, 1)), Sent)
    smsc.smsc.tell("mute", True)
    await smsc.smsc.ask("wait", {"enquiries": 1})
    await smsc.smsc.ask("waitSessions", 0)
    smsc.smsc.tell("mute", False)
    assert isinstance(await one(channel, takes(smsc, 2)), Sent)


async def test_the_end_is_said(smsc: SmppPeer) -> None:
    channel = smsc.channel(binds=2)
    await channel.send([takes(smsc, n) for n in range(20)])
    await channel.close()
    await smsc.smsc.ask("wait", {"unbinds": 1})
    await smsc.smsc.ask("waitSessions", 0)


async def test_messages_go_over_tls_where_that_is_asked(smsc: SmppPeer, tmp_path: Path) -> None:
    authorities = tmp_path / "ca.pem"
    smsc.smsc.ca.cert_pem.write_to_path(authorities)
    channel = smsc.channel(port=smsc.smsc.tls_port, tls=True, ca_file=authorities)
    assert isinstance(await one(channel, takes(smsc, 1)), Sent)
    assert smsc.smsc.tell("state")["binds"][0] == {"system_id": "clarion", "system_type": "", "version": 0x34}


async def test_what_is_too_late_for_a_bind_is_not_handed_over(smsc: SmppPeer) -> None:
    outcome = await one(smsc.channel(), takes(smsc, 1, deadline_s=time.monotonic() - 1))
    assert isinstance(outcome, TransientFailure)
    assert outcome.reason is Reason.EXPIRED


# What comes in.


async def test_a_receipt_is_answered_once_it_is_taken_in(smsc: SmppPeer) -> None:
    listener = Listener()
    channel = smsc.channel(ears=listener)
    sent = await one(channel, takes(smsc, 1))
    listener.may.clear()
    answered = asyncio.create_task(smsc.smsc.ask("deliver", receipt(sent.provider_id)))
    assert await listener.receipts.get() == Receipt(message_id=sent.provider_id, fate=Fate.DELIVERED, error="000")
    assert await smsc.smsc.ask("enquire") == 0  # and meanwhile everything else goes on
    assert not answered.done()
    listener.may.set()
    assert await answered == 0


async def test_a_receipt_that_could_not_be_taken_in_comes_again(smsc: SmppPeer) -> None:
    listener = Listener()
    channel = smsc.channel(ears=listener)
    await channel.listen()
    await smsc.smsc.ask("waitSessions", 1)
    listener.broken = True
    with structlog.testing.capture_logs() as lines:
        assert await smsc.smsc.ask("deliver", receipt("m1")) == 0x64
    assert [line["event"] for line in lines if line["log_level"] != "debug"] == ["not_taken_in"]
    assert "m1" not in repr(lines)
    listener.broken = False
    assert await smsc.smsc.ask("deliver", receipt("m1", "UNDELIV")) == 0
    assert (await listener.receipts.get()).fate is Fate.UNDELIVERABLE


async def test_a_receipt_that_comes_with_the_answer_to_the_bind_is_not_lost(smsc: SmppPeer) -> None:
    listener = Listener()
    smsc.smsc.tell("earlyReceipt", receipt("m1"))
    channel = smsc.channel(ears=listener)
    await channel.listen()
    assert (await listener.receipts.get()).message_id == "m1"
    await smsc.smsc.ask("wait", {"answered": 1})
    assert smsc.smsc.tell("state")["answered"] == [0]


async def test_what_people_write_is_heard(smsc: SmppPeer) -> None:
    listener = Listener()
    channel = smsc.channel(ears=listener)
    await channel.listen()
    await smsc.smsc.ask("waitSessions", 1)
    written = {
        "source_addr_ton": 1,
        "source_addr": "4915112345678",
        "destination_addr": "47110",
        "data_coding": 8,
        "short_message": "Стоп 🎁",
    }
    assert await smsc.smsc.ask("deliver", written) == 0
    assert await listener.inbound.get() == Inbound(from_number="+4915112345678", to_number="47110", text="Стоп 🎁")


async def test_without_ears_what_comes_in_is_refused(smsc: SmppPeer) -> None:
    channel = smsc.channel()
    assert isinstance(await one(channel, takes(smsc, 1)), Sent)
    assert await smsc.smsc.ask("deliver", receipt("m1")) == 0x66
