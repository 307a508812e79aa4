"""SMTP beyond a message: tokens, greylisting, queue ids, how much of a domain is in hand, how long a dot may take."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from clarion_core.configuration.part import Secret
from clarion_core.configuration.smtp import SmtpPart
from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Ambiguous, Outcome, PermanentFailure, Sent, TransientFailure
from clarion_workers.channels.email import EmailChannel, from_part
from clarion_workers.channels.email.line import Line
from clarion_workers.channels.email.message import Copy
from clarion_workers.channels.email.replies import queue_id, refusal
from support.emails import config, email
from support.smtp_sink import Features, SmtpSink

Open = Callable[..., EmailChannel]


def reason_of(outcome: Outcome) -> Reason | None:
    return getattr(outcome, "reason", None)


@pytest.mark.parametrize("mechanisms", ["PLAIN OAUTHBEARER XOAUTH2", "PLAIN XOAUTH2"])
async def test_a_token_is_read_for_each_connection(mechanisms: str, open_channel: Open) -> None:
    tokens = iter(["ya29.right", "ya29.stale"])
    async with SmtpSink(Features(auth=mechanisms, user="ana@example.com", password="ya29.right")) as sink:
        channel = open_channel(sink.port, username="ana@example.com", token=lambda: next(tokens), connections=1)
        [outcome] = await channel.send([email(1)])
        assert isinstance(outcome, Sent)
        await sink.drop_all()
        [refused] = await channel.send([email(2)])
        assert reason_of(refused) is Reason.PROVIDER_CREDENTIALS
        assert getattr(refused, "detail", "").startswith("535 5.7.8")


async def test_a_token_that_can_not_be_read_is_a_matter_of_credentials(tmp_path: Path, sink: SmtpSink) -> None:
    part = SmtpPart(host="127.0.0.1", port=sink.port, username="ana@example.com", token=Secret(file=tmp_path / "token"))
    channel = EmailChannel(from_part(part, lambda secret: secret.read({}) if secret else "", "mail.example.com"))
    [outcome] = await channel.send([email()])
    assert outcome == TransientFailure(reason=Reason.PROVIDER_CREDENTIALS, detail="the token can't be read")
    await channel.close()


async def test_a_token_is_never_given_as_a_password(open_channel: Open) -> None:
    async with SmtpSink(Features(auth="PLAIN LOGIN CRAM-MD5", user="ana", password="token")) as sink:
        [outcome] = await open_channel(sink.port, username="ana", token=lambda: "token").send([email()])
        assert reason_of(outcome) is Reason.PROVIDER_CREDENTIALS
        assert not sink.commands["AUTH"]


@pytest.mark.parametrize(
    ("reply", "wait_s"),
    [
        ("451 4.7.1 Please come back later", 300),
        ("450 4.2.0 Greylisted, see http://isg.example/", 300),
        ("451 Greylisting in action, try again in 90 seconds", 90),
        ("450 4.7.1 gray-listed for 5 minutes", 300),
        ("451 4.7.1 grey list: come again in 2 s", 60),
        ("450 greylisted, try in 9999 minutes", 86_400),
    ],
)
async def test_a_server_that_does_not_know_us_yet_is_left_alone_for_a_while(
    reply: str, wait_s: float, sink: SmtpSink, open_channel: Open
) -> None:
    sink.script("rcpt", reply)
    [outcome] = await open_channel(sink.port).send([email()])
    assert outcome == TransientFailure(reason=Reason.RECIPIENT_DEFERRED, detail=reply, retry_after_s=wait_s)


def test_what_is_no_greylisting_names_no_time() -> None:
    for code, text, of_recipient in [
        (451, b"4.7.1 later", False),
        (452, b"4.2.2 mailbox full, empty it in 5 minutes", True),
        (451, b"4.3.0 lookup failed", True),
        (421, b"4.7.0 greylisted by no means", True),
    ]:
        outcome = refusal(code, text, of_recipient=of_recipient)
        assert isinstance(outcome, TransientFailure)
        assert outcome.retry_after_s is None
    assert isinstance(refusal(550, b"5.7.1 greylisted for good", of_recipient=True), PermanentFailure)


async def test_a_message_greylisted_after_its_content_waits_too(sink: SmtpSink, open_channel: Open) -> None:
    sink.script("dot", "451 4.7.1 Greylisted")
    [outcome] = await open_channel(sink.port).send([email()])
    assert isinstance(outcome, TransientFailure)
    assert (outcome.reason, outcome.retry_after_s) == (Reason.RECIPIENT_DEFERRED, 300)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (b"2.0.0 Ok: queued as 4XyZ1q0Jz5z3K", "4XyZ1q0Jz5z3K"),
        (b"OK id=1rYc3B-0004Qe-2j", "1rYc3B-0004Qe-2j"),
        (b"2.0.0 40ABCdef012345 Message accepted for delivery", "40ABCdef012345"),
        (b"2.6.0 <a@b> [InternalId=12345, Hostname=mx.example] 12 bytes in 0.1, 99 KB/sec Queued mail", "12345"),
        (b"Message Queued (8E1B2C3D-AAAA.1)", "8E1B2C3D-AAAA.1"),
        (b"Ok 0102018d1234abcd-1a2b3c4d-1111-2222-3333-444455556666-000000",
         "0102018d1234abcd-1a2b3c4d-1111-2222-3333-444455556666-000000"),
        (b"2.0.0 OK  1795507200 d9443c01a7336-2a1b.42 - gsmtp", "d9443c01a7336-2a1b.42"),
        (b"2.0.0 taken", ""),
        (b"", ""),
        (b"queued as " + b"x" * 200, "x" * 128),
    ],
)  # fmt: skip
def test_the_queue_id_is_read_from_the_reply(said: bytes, found: str) -> None:
    assert queue_id(said) == found


async def test_no_more_of_a_domain_is_in_hand_than_it_takes(open_channel: Open) -> None:
    async with SmtpSink() as sink:
        channel = open_channel(sink.port, connections=6, per_domain=2)
        slow = [email(n, f"dot-hang+{n}@Slow.example") for n in range(4)]
        copy = replace(email(5), copy=Copy(kind="cc", number=1, address="Boss <rcpt-550+5@slow.example>"))
        sending = asyncio.create_task(channel.send([*slow, copy]))
        await sink.wait_for(2)
        outcomes = await channel.send([email(n, f"ada{n}@quick.example") for n in range(10, 30)])
        assert all(isinstance(outcome, Sent) for outcome in outcomes)
        assert Counter(message.rcpt_to[0].partition("@")[2] for message in sink.messages) == {
            "Slow.example": 2, "quick.example": 20,
        }  # fmt: skip
        sink.released.set()
        *ambiguous, refused = await sending
        assert [type(outcome) for outcome in ambiguous] == [Ambiguous] * 4
        assert reason_of(refused) is Reason.RECIPIENT_REFUSED


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("per_domain", [1, 3])
async def test_whatever_happens_to_some_the_others_of_a_domain_go_on(
    pipelining: bool, per_domain: int, open_channel: Open
) -> None:
    acts = ["ada", "rcpt-550", "dot-451", "dot-drop", "data-drop", "rcpt-421", "ada", "mail box"]
    async with SmtpSink(Features(pipelining=pipelining)) as sink:
        channel = open_channel(sink.port, connections=4, per_domain=per_domain)
        messages = [email(n, f"{acts[n % len(acts)]}+{n}@example.com") for n in range(80)]
        outcomes = await channel.send(messages)
        assert len(outcomes) == 80
        good = [outcome for n, outcome in enumerate(outcomes) if acts[n % len(acts)] == "ada"]
        assert all(isinstance(outcome, Sent) for outcome in good)
        assert all(isinstance(outcome, Sent) for outcome in await channel.send([email(n) for n in range(90, 99)]))


async def test_what_waits_for_its_domain_is_called_off_with_its_call(open_channel: Open) -> None:
    async with SmtpSink() as sink:
        channel = open_channel(sink.port, per_domain=1)
        first = asyncio.create_task(channel.send([email(1, "dot-hang+1@example.com")]))
        await sink.wait_for(1)
        second = asyncio.create_task(channel.send([email(2), email(3)]))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        sink.released.set()
        await first
        [outcome] = await channel.send([email(4)])
        assert isinstance(outcome, Sent)
        assert [message.message_id.partition("@")[0] for message in sink.messages] == ["00j4k-1", "00j4k-4"]


async def test_a_message_as_a_whole_may_take_longer_than_a_command(open_channel: Open) -> None:
    async with SmtpSink() as sink:
        sink.slow_s = 1.5
        channel = open_channel(sink.port, timeout_s=1.0, dot_timeout_s=30, connections=1)
        slow, quick = await channel.send([email(1, "dot-slow+1@example.com"), email(2)])
        assert (type(slow), type(quick)) == (Sent, Sent)
        [outcome] = await channel.send([email(3, "data-hang+3@example.com")])
        assert reason_of(outcome) is Reason.PROVIDER_UNREACHABLE


async def test_a_dot_is_not_waited_for_for_ever(open_channel: Open) -> None:
    async with SmtpSink() as sink:
        channel = open_channel(sink.port, timeout_s=30, dot_timeout_s=0.1)
        [outcome] = await channel.send([email(1, "dot-hang+1@example.com")])
        assert outcome == Ambiguous(detail="no reply within 0.1 s (DOT)")


def test_a_message_as_a_whole_gets_twice_the_time_unless_told() -> None:
    assert (config(1).patience_s, config(1, dot_timeout_s=7.0).patience_s) == (10.0, 7.0)


@dataclass(eq=False)
class InLine:
    domain: str


@given(st.integers(0, 3), st.lists(st.sampled_from(["put a", "put b", "take", "end", "again", "drop"]), max_size=60))
def test_nobody_in_line_is_lost_or_doubled_and_no_domain_has_too_many_out(per_domain: int, acts: list[str]) -> None:
    line, waiting, out = Line[InLine](per_domain), set[InLine](), list[InLine]()
    for act in acts:
        if act.startswith("put"):
            item = InLine(act[-1])
            line.extend([item])
            waiting.add(item)
        elif act == "take" and (taken := line.take()):
            waiting.remove(taken)
            out.append(taken)
        elif act == "end" and out:
            line.ended(out.pop(0))
        elif act == "again" and out:
            item = out.pop()
            line.ended(item)
            line.put_first(item)
            waiting.add(item)
        elif act == "drop" and waiting:
            gone = next(iter(waiting))
            line.drop(lambda item, gone=gone: item is gone)  # type: ignore[misc]  # bound as it is now
            waiting.remove(gone)
        assert not per_domain or max(Counter(item.domain for item in out).values(), default=0) <= per_domain
    while (taken := line.take()) or out:
        if taken:
            waiting.remove(taken)
            out.append(taken)
        else:
            line.ended(out.pop())
    assert not waiting
    assert list(line.empty()) == []
