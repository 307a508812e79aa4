"""SMPP beyond the conformance suite: segments, addresses, the window, throttling."""

from __future__ import annotations

import asyncio

import pytest

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Ambiguous, PermanentFailure, Sent, TransientFailure
from clarion_workers.channels import CutOff
from clarion_workers.channels.sms.smpp import jobs
from support.peers.smpp import SmppPeer
from support.smpp_calls import (
    LONG,
    QUEUE_FULL,
    SYSTEM_ERROR,
    THROTTLED,
    one,
    takes,
)

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
    smsc: SmppPeer, text: str, segments: int, coding: int
) -> None:
    outcome = await one(smsc.channel(window=10), takes(smsc, text=text))
    assert isinstance(outcome, Sent)
    [message] = smsc.smsc.messages
    assert (message["text"], message["segments"], message["coding"]) == (text, segments, coding)
    assert len(outcome.provider_id.split()) == segments


async def test_receipts_are_asked_of_the_last_segment_and_of_failures_of_the_others(smsc: SmppPeer) -> None:
    outcome = await one(smsc.channel(window=10), takes(smsc, text=LONG))
    [message] = smsc.smsc.messages
    assert isinstance(outcome, Sent)
    assert outcome.provider_id == "m3 m1 m2"
    assert message["registered"] == 1
    assert message["id"] == "m3"


async def test_ids_of_many_segments_are_as_many_as_fit_whole(smsc: SmppPeer) -> None:
    outcome = await one(smsc.channel(window=10), takes(smsc, text="a" * 153 * 50))
    assert isinstance(outcome, Sent)
    assert len(outcome.provider_id) <= 128
    assert outcome.provider_id.split() == ["m50", *(f"m{n}" for n in range(1, len(outcome.provider_id.split())))]


async def test_more_segments_than_can_be_numbered_are_refused_here(smsc: SmppPeer) -> None:
    outcome = await one(smsc.channel(), takes(smsc, text="a" * (153 * 255 + 1)))
    assert isinstance(outcome, PermanentFailure)
    assert outcome.reason is Reason.MESSAGE_REFUSED
    assert smsc.received() == []


async def test_a_first_segment_that_is_refused_decides_for_all(smsc: SmppPeer) -> None:
    smsc.smsc.tell("script", [SYSTEM_ERROR])
    outcome = await one(smsc.channel(window=10), takes(smsc, text=LONG))
    assert isinstance(outcome, TransientFailure)
    assert smsc.received() == []
    assert isinstance(await one(smsc.channel(), takes(smsc, 2, LONG)), Sent)
    assert smsc.received() == ["00j4k-2"]


@pytest.mark.parametrize("answer", [SYSTEM_ERROR, 0x0B, "drop"])
async def test_a_later_segment_that_fails_leaves_the_message_in_doubt(smsc: SmppPeer, answer: int | str) -> None:
    smsc.smsc.tell("script", [0, 0, answer])
    outcome = await one(smsc.channel(window=1), takes(smsc, text=LONG))
    assert isinstance(outcome, Ambiguous)
    assert outcome.detail.startswith("2 of 3 segments taken, then: ")


async def test_a_later_segment_that_was_too_much_at_once_goes_out_again_by_itself(smsc: SmppPeer) -> None:
    smsc.smsc.tell("script", [0, THROTTLED, 0, 0])
    outcome = await one(smsc.channel(window=10), takes(smsc, text=LONG))
    assert isinstance(outcome, Sent)
    [message] = smsc.smsc.messages
    assert message["text"] == LONG


async def test_a_segment_that_is_always_too_much_ends_in_doubt(smsc: SmppPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "REPEATS_MAX", 1)
    smsc.smsc.tell("script", [0, THROTTLED, THROTTLED])
    outcome = await one(smsc.channel(window=1), takes(smsc, text=LONG))
    assert isinstance(outcome, Ambiguous)
    assert "ESME_RTHROTTLED" in outcome.detail


async def test_segments_that_are_not_written_yet_go_on_over_another_session(smsc: SmppPeer) -> None:
    smsc.smsc.tell("hold", True)
    channel = smsc.channel(binds=1, window=1)
    sending = asyncio.create_task(one(channel, takes(smsc, text=LONG)))
    await smsc.smsc.ask("wait", {"held": 1})
    unbound = asyncio.create_task(smsc.smsc.ask("unbind"))
    await smsc.smsc.ask("enquire")  # so the unbind has been read
    smsc.smsc.tell("release")
    assert await unbound == 0
    assert isinstance(await sending, Sent)
    assert len(smsc.smsc.tell("state")["binds"]) == 2
    assert [message["text"] for message in smsc.smsc.messages] == [LONG]


async def test_a_call_that_is_cut_off_amid_a_message_leaves_it_in_doubt_and_sends_no_more_of_it(smsc: SmppPeer) -> None:
    smsc.smsc.tell("script", [0, "hang"])
    channel = smsc.channel(binds=1, window=1)
    sending = asyncio.create_task(channel.send([takes(smsc, text=LONG), takes(smsc, 2)]))
    await smsc.smsc.ask("wait", {"held": 1})
    sending.cancel()
    with pytest.raises(CutOff) as cut:
        await sending
    doubt, other = cut.value.outcomes
    assert isinstance(doubt, Ambiguous)
    assert doubt.detail.startswith("1 of 3 segments taken")
    assert other is None
    smsc.smsc.tell("release")
    assert isinstance(await one(channel, takes(smsc, 3)), Sent)
    assert smsc.received() == ["00j4k-3"]


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
async def test_a_sender_is_said_to_be_what_it_is(smsc: SmppPeer, sender: str, address: str, kind: list[int]) -> None:
    assert isinstance(await one(smsc.channel(service_type="CMT"), takes(smsc, sender=sender)), Sent)
    [message] = smsc.smsc.messages
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
async def test_what_is_no_address_is_refused_here(smsc: SmppPeer, changes: dict[str, str], reason: Reason) -> None:
    bad, good = await smsc.channel().send([takes(smsc, 1, **changes), takes(smsc, 2)])
    assert isinstance(bad, PermanentFailure)
    assert bad.reason is reason
    assert isinstance(good, Sent)


async def test_the_reference_is_the_same_in_every_attempt_and_another_for_another_message(smsc: SmppPeer) -> None:
    channel = smsc.channel()
    await channel.send([takes(smsc, 1), takes(smsc, 1), takes(smsc, 2)])
    found = [(message["to"], message["reference"]) for message in smsc.smsc.messages]
    assert len(found) == 3
    assert len({reference for _, reference in found}) == 2
    assert len(set(found)) == 2


# The window, throttling.


async def test_the_window_bounds_what_is_unanswered(smsc: SmppPeer) -> None:
    channel = smsc.channel(binds=1, window=5)
    assert isinstance(await one(channel, takes(smsc, 0)), Sent)
    smsc.smsc.tell("hold", True)
    sending = asyncio.create_task(channel.send([takes(smsc, n) for n in range(1, 30)]))
    await smsc.smsc.ask("wait", {"held": 5})
    await smsc.smsc.ask("enquire")
    assert smsc.smsc.tell("state")["mostUnanswered"] == 5
    smsc.smsc.tell("release")
    assert all(isinstance(outcome, Sent) for outcome in await sending)
    assert smsc.smsc.tell("state")["mostUnanswered"] == 5


async def test_an_smsc_that_never_answers_gets_one_message_of_a_window(smsc: SmppPeer) -> None:
    smsc.smsc.tell("script", ["drop"])
    channel = smsc.channel(binds=1, window=10)
    outcomes = await channel.send([takes(smsc, n) for n in range(10)])
    assert [type(outcome) for outcome in outcomes] == [Ambiguous] + [Sent] * 9


@pytest.mark.parametrize("status", [THROTTLED, QUEUE_FULL])
async def test_too_much_at_once_is_transient_and_halves_the_window(smsc: SmppPeer, status: int) -> None:
    channel = smsc.channel(binds=1, window=8)
    assert isinstance(await one(channel, takes(smsc, 0)), Sent)
    [session] = channel._sessions._bound
    assert session.window == 8
    smsc.smsc.tell("script", [status])
    outcomes = await channel.send([takes(smsc, n) for n in range(1, 9)])
    assert isinstance(outcomes[0], TransientFailure)
    assert outcomes[0].reason is Reason.PROVIDER_DEFERRED
    assert outcomes[0].retry_after_s == pytest.approx(0.5)
    assert [type(outcome) for outcome in outcomes[1:]] == [Sent] * 7
    assert session.window == 4 + 1  # and a windowful later, one larger
    await channel.send([takes(smsc, n) for n in range(9, 60)])
    assert session.window == 8


async def test_an_smsc_that_takes_too_little_for_too_long_gives_the_rest_back(smsc: SmppPeer) -> None:
    channel = smsc.channel(binds=1, window=1, timeout_s=0.4)  # the pause is 0.5 s
    smsc.smsc.tell("script", [THROTTLED])
    outcomes = await channel.send([takes(smsc, n) for n in range(5)])
    assert {type(outcome) for outcome in outcomes} == {TransientFailure}
    assert {outcome.reason for outcome in outcomes} == {Reason.PROVIDER_DEFERRED}  # type: ignore[union-attr]
    assert smsc.received() == []
    assert isinstance(await one(channel, takes(smsc, 9)), Sent)


async def test_receipts_that_are_not_wanted_are_not_asked_for(smsc: SmppPeer) -> None:
    assert isinstance(await one(smsc.channel(receipts=False), takes(smsc, 1)), Sent)
    assert smsc.smsc.messages[0]["registered"] == 0


async def test_latin_1_is_written_where_that_is_the_smscs_alphabet(smsc: SmppPeer) -> None:
    assert isinstance(await one(smsc.channel(default_alphabet="latin1"), takes(smsc, 1, "@$ Grüße")), Sent)
    [message] = smsc.smsc.messages
    assert message["coding"] == 0
    assert message["text"] == "¡¤ Gr  e"  # this SMSC reads GSM, in which those octets say so
