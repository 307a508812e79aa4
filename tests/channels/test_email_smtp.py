"""The SMTP client: what is said when, and what is made of the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from pydantic import SecretStr

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Ambiguous, Outcome, PermanentFailure, Sent, TransientFailure
from clarion_core.settings import WorkerSettings
from clarion_workers.channels.email import EmailChannel, from_settings, session
from clarion_workers.channels.email.session import stuffed
from support.emails import config, email
from support.smtp_sink import Features, SmtpSink

Open = Callable[..., EmailChannel]


def all_sent(outcomes: list[Outcome]) -> bool:
    return all(isinstance(outcome, Sent) for outcome in outcomes)


@pytest.mark.parametrize("pipelining", [True, False])
async def test_one_connection_carries_many_messages(pipelining: bool, open_channel: Open) -> None:
    async with SmtpSink(Features(pipelining=pipelining)) as sink:
        outcomes = await open_channel(sink.port, connections=1).send([email(n) for n in range(50)])
        assert all_sent(outcomes)
        assert [m.message_id for m in sink.messages] == [f"00j4k-{n}@mail.example.com" for n in range(50)]
        assert sink.connections == 1
        assert bool(sink.early) is pipelining


@pytest.mark.parametrize("pipelining", [True, False])
async def test_a_refused_recipient_leaves_the_others_alone(pipelining: bool, open_channel: Open) -> None:
    async with SmtpSink(Features(pipelining=pipelining)) as sink:
        messages = [email(n, f"rcpt-550+{n}@example.com" if n % 3 == 0 else "") for n in range(12)]
        outcomes = await open_channel(sink.port, connections=1).send(messages)
        refused = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, PermanentFailure)]
        assert refused == [0, 3, 6, 9]
        assert len(sink.messages) == 8
        assert all(m.rcpt_to == [f"ada{m.message_id.split('@')[0][6:]}@example.com"] for m in sink.messages)
        assert sink.connections == 1
        assert bool(sink.early) is pipelining


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize(
    ("stage", "code", "kind", "reason"),
    [
        ("mail", "451", TransientFailure, Reason.PROVIDER_DEFERRED),
        ("mail", "550", PermanentFailure, Reason.MESSAGE_REFUSED),
        ("mail", "530", TransientFailure, Reason.PROVIDER_CREDENTIALS),
        ("rcpt", "450", TransientFailure, Reason.RECIPIENT_DEFERRED),
        ("rcpt", "550", PermanentFailure, Reason.RECIPIENT_REFUSED),
        ("data", "451", TransientFailure, Reason.PROVIDER_DEFERRED),
        ("data", "554", PermanentFailure, Reason.MESSAGE_REFUSED),
        ("dot", "452", TransientFailure, Reason.PROVIDER_DEFERRED),
        ("dot", "554", PermanentFailure, Reason.MESSAGE_REFUSED),
    ],
)
async def test_each_refusal_has_its_outcome(
    pipelining: bool, stage: str, code: str, kind: type, reason: Reason, open_channel: Open
) -> None:
    async with SmtpSink(Features(pipelining=pipelining)) as sink:
        sink.script(stage, f"{code} 5.0.0 because", nth=2)
        first, second, third = await open_channel(sink.port, connections=1).send([email(n) for n in range(3)])
        assert (type(second), getattr(second, "reason", None)) == (kind, reason)
        assert getattr(second, "detail", "").startswith(f"{code} ")
        assert all_sent([first, third])
        assert [m.message_id[:7] for m in sink.messages] == ["00j4k-0", "00j4k-2"]
        assert sink.connections == 1


@pytest.mark.parametrize(
    ("stage", "reply", "reason"),
    [
        ("rcpt", "450 4.2.0 greylisted", Reason.RECIPIENT_DEFERRED),
        ("rcpt", "451 4.7.1 greylisted", Reason.RECIPIENT_DEFERRED),
        ("rcpt", "452 4.2.2 mailbox full", Reason.RECIPIENT_DEFERRED),
        ("rcpt", "450 the old way", Reason.RECIPIENT_DEFERRED),
        ("rcpt", "451 4.3.0 lookup failed", Reason.PROVIDER_DEFERRED),
        ("rcpt", "421 4.2.0 too many for this user", Reason.PROVIDER_DEFERRED),
        ("rcpt", "452 5.3.0 a code of another kind", Reason.RECIPIENT_DEFERRED),
        ("rcpt", "354 out of turn", Reason.PROVIDER_DEFERRED),
        ("rcpt", "554 5.3.0 no", Reason.RECIPIENT_REFUSED),
        ("mail", "452 4.3.1 disk full", Reason.PROVIDER_DEFERRED),
        ("data", "451 4.4.5 congestion", Reason.PROVIDER_DEFERRED),
        ("dot", "451 4.7.1 later", Reason.PROVIDER_DEFERRED),
        ("dot", "452 4.2.2 mailbox full", Reason.RECIPIENT_DEFERRED),
        ("dot", "552 5.2.2 mailbox full", Reason.RECIPIENT_REFUSED),
        ("dot", "554 5.6.0 no", Reason.MESSAGE_REFUSED),
    ],
)
async def test_a_refusal_is_about_whom_its_place_and_its_enhanced_code_say(
    stage: str, reply: str, reason: Reason, sink: SmtpSink, open_channel: Open
) -> None:
    sink.script(stage, reply)
    [outcome] = await open_channel(sink.port).send([email()])
    assert (getattr(outcome, "reason", None), getattr(outcome, "detail", "")) == (reason, reply)


async def test_data_taken_without_a_recipient_gets_a_lone_dot(sink: SmtpSink, open_channel: Open) -> None:
    sink.script("data", "354 whoever it is for")
    channel = open_channel(sink.port, connections=1)
    refused, taken = await channel.send([email(1, "rcpt-550+1@example.com"), email(2)])
    assert isinstance(refused, PermanentFailure)
    assert refused.reason is Reason.RECIPIENT_REFUSED
    assert isinstance(taken, Sent)
    assert len(sink.messages) == 1
    assert sink.connections == 1


@pytest.mark.parametrize("pipelining", [True, False])
async def test_the_next_content_waits_for_the_reply_to_the_dot(pipelining: bool, open_channel: Open) -> None:
    async with SmtpSink(Features(pipelining=pipelining)) as sink:
        channel = open_channel(sink.port, connections=1)
        sending = asyncio.create_task(channel.send([email(1, "dot-hang+1@example.com"), email(2)]))
        await sink.wait_for(1)
        sink.released.set()  # the connection breaks with the first message in doubt
        first, second = await sending
        assert isinstance(first, Ambiguous)
        assert isinstance(second, Sent)
        assert [m.message_id[:7] for m in sink.messages] == ["00j4k-1", "00j4k-2"]


async def test_what_waits_behind_an_unanswered_dot_goes_over_another_connection(open_channel: Open) -> None:
    async with SmtpSink() as sink, asyncio.timeout(20):
        channel = open_channel(sink.port, connections=2, timeout_s=60)
        messages = [email(0, "dot-hang+0@example.com"), *(email(n) for n in range(1, 10))]
        sending = asyncio.create_task(channel.send(messages))
        await sink.wait_for(10)
        assert len({message.message_id for message in sink.messages}) == 10
        assert not sending.done()
        sending.cancel()
        await asyncio.wait([sending])


async def test_a_server_that_answers_dots_late_keeps_its_connections(
    open_channel: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_LATE_S", 0.05)
    async with SmtpSink() as sink, asyncio.timeout(30):
        sink.script("dot", "slow")
        channel = open_channel(sink.port, connections=2, timeout_s=60, idle_s=0.2)  # a tick of a quarter of that
        outcomes = await channel.send([email(n) for n in range(20)])
    assert {type(outcome) for outcome in outcomes} == {Sent}
    assert len({message.message_id for message in sink.messages}) == len(sink.messages) == 20
    # Each may be lost once, for what had been said on it when the lateness was noticed.
    assert 2 <= sink.connections <= 4


@pytest.mark.parametrize(
    ("stage", "kind"),
    [("mail", TransientFailure), ("rcpt", TransientFailure), ("data", TransientFailure), ("dot", TransientFailure)],
)
async def test_a_server_that_closes_with_421_is_transient(
    stage: str, kind: type, sink: SmtpSink, open_channel: Open
) -> None:
    sink.script(stage, "421 4.3.2 going down")
    [outcome] = await open_channel(sink.port).send([email()])
    assert isinstance(outcome, kind)
    assert getattr(outcome, "reason", None) is Reason.PROVIDER_DEFERRED
    assert getattr(outcome, "detail", "").startswith("421 ")


@pytest.mark.parametrize("action", ["421 4.7.0 enough for this connection", "drop"])
async def test_a_server_that_tires_of_a_connection_costs_no_attempt(
    action: str, sink: SmtpSink, open_channel: Open
) -> None:
    sink.script("mail", action, nth=3)
    outcomes = await open_channel(sink.port, connections=1).send([email(n) for n in range(5)])
    assert all_sent(outcomes)
    assert sink.connections == 2
    assert len(sink.messages) == 5


async def test_a_kept_connection_closed_while_idle_costs_no_attempt(sink: SmtpSink, open_channel: Open) -> None:
    channel = open_channel(sink.port, connections=1)
    await channel.send([email(1)])
    await sink.drop_all()
    assert all_sent(await channel.send([email(2)]))
    assert sink.connections == 2


async def test_a_message_dropped_by_a_kept_connection_goes_over_a_new_one(sink: SmtpSink, open_channel: Open) -> None:
    channel = open_channel(sink.port, connections=3)
    await channel.send([email(n) for n in range(30)])
    assert sink.connections == 3
    sink.script("mail", "drop", nth=31)
    assert all_sent(await channel.send([email(31)]))
    assert sink.connections == 4


async def test_a_message_goes_over_a_new_connection_as_that_server_can_take_it(
    sink: SmtpSink, open_channel: Open
) -> None:
    channel = open_channel(sink.port, connections=1)
    await channel.send([email(1)])
    sink.features = Features(eight_bit=False)  # of those that come now
    sink.script("mail", "drop", nth=2)
    assert all_sent(await channel.send([email(2, text="Käse und Brot\n")]))
    assert sink.connections == 2
    assert sink.messages[-1].content.isascii()
    assert sink.messages[-1].parameters == ""


async def test_a_message_dropped_on_two_connections_is_not_tried_on_a_third(sink: SmtpSink, open_channel: Open) -> None:
    channel = open_channel(sink.port, connections=1)
    await channel.send([email(1)])
    sink.script("mail", "drop")
    [outcome] = await channel.send([email(2)])
    assert isinstance(outcome, TransientFailure)
    assert outcome.reason is Reason.PROVIDER_UNREACHABLE
    assert sink.connections == 2


async def test_an_idle_connection_is_left_politely(sink: SmtpSink, open_channel: Open) -> None:
    channel = open_channel(sink.port, idle_s=0.05)
    await channel.send([email(1)])
    await sink.wait_until_hanging_up()
    assert sink.quits == 1
    assert all_sent(await channel.send([email(2)]))


async def test_closing_says_goodbye_on_every_connection(sink: SmtpSink, open_channel: Open) -> None:
    channel = open_channel(sink.port, connections=4)
    await channel.send([email(n) for n in range(40)])
    await channel.close()
    await sink.wait_until_hanging_up()
    assert sink.quits == sink.connections == 4


async def test_a_server_with_a_limit_of_connections_gets_all_on_fewer(sink: SmtpSink, open_channel: Open) -> None:
    for number in (2, 3, 4):
        sink.script("greeting", "421 4.7.0 too many connections", nth=number)
    outcomes = await open_channel(sink.port, connections=4).send([email(n) for n in range(40)])
    assert all_sent(outcomes)
    assert len(sink.messages) == 40


@pytest.mark.parametrize(
    ("stage", "action", "reason"),
    [
        ("greeting", "554 5.7.1 not you", Reason.PROVIDER_UNREACHABLE),
        ("greeting", "421 4.3.2 later", Reason.PROVIDER_DEFERRED),
        ("greeting", "drop", Reason.PROVIDER_UNREACHABLE),
        ("greeting", "hang", Reason.PROVIDER_UNREACHABLE),
        ("greeting", "SSH-2.0-nothing to do with mail", Reason.PROVIDER_UNREACHABLE),
        ("ehlo", "550 5.7.1 not you", Reason.PROVIDER_UNREACHABLE),
        ("ehlo", "hang", Reason.PROVIDER_UNREACHABLE),
    ],
)
async def test_no_handshake_is_transient_for_all_that_wait(
    stage: str, action: str, reason: Reason, sink: SmtpSink, open_channel: Open
) -> None:
    sink.script(stage, action)
    outcomes = await open_channel(sink.port, timeout_s=1.0).send([email(n) for n in range(10)])
    assert [getattr(outcome, "reason", None) for outcome in outcomes] == [reason] * 10
    assert {type(outcome) for outcome in outcomes} == {TransientFailure}


async def test_a_server_from_before_ehlo_is_greeted_with_helo(open_channel: Open) -> None:
    async with SmtpSink(Features(ehlo=False, pipelining=False)) as sink:
        assert all_sent(await open_channel(sink.port).send([email(n) for n in range(3)]))
        assert sink.commands["HELO"] >= 1
        assert not sink.early


async def test_an_address_beyond_ascii_goes_out_with_smtputf8(sink: SmtpSink, open_channel: Open) -> None:
    assert all_sent(await open_channel(sink.port).send([email(1, "jürgen@bücher.example")]))
    [message] = sink.messages
    assert message.rcpt_to == ["jürgen@xn--bcher-kva.example"]
    assert message.parameters == "BODY=8BITMIME SMTPUTF8"
    assert "To: jürgen@xn--bcher-kva.example\r\n".encode() in message.content


async def test_a_server_that_reports_is_asked_to_return_no_more_than_the_header(open_channel: Open) -> None:
    async with SmtpSink(Features(dsn=True)) as sink:
        [outcome] = await open_channel(sink.port).send([email(1)])
        assert isinstance(outcome, Sent)
        assert sink.messages[0].parameters == "RET=HDRS"


@pytest.mark.parametrize("offered", [True, False])
async def test_a_body_beyond_ascii_stays_as_it_is_where_the_server_takes_it(open_channel: Open, offered: bool) -> None:
    async with SmtpSink(Features(eight_bit=offered)) as sink:
        assert all_sent(await open_channel(sink.port).send([email(1, text="Käse und Brot\n", html="")]))
        [message] = sink.messages
        assert message.parameters == ("BODY=8BITMIME" if offered else "")
        assert ("Käse".encode() in message.content) == offered
        assert message_from_bytes(message.content, policy=policy.default).get_content() == "Käse und Brot\r\n"


async def test_an_address_beyond_ascii_is_refused_where_the_server_can_not(open_channel: Open) -> None:
    async with SmtpSink(Features(smtputf8=False)) as sink:
        refused, sent = await open_channel(sink.port).send(
            [email(1, "jürgen@example.com"), email(2, "a@bücher.example")]
        )
        assert isinstance(refused, PermanentFailure)
        assert refused.reason is Reason.PROVIDER_UNSUPPORTED
        assert isinstance(sent, Sent)
        assert [m.rcpt_to for m in sink.messages] == [["a@xn--bcher-kva.example"]]


async def test_a_message_above_the_servers_size_is_not_even_begun(open_channel: Open) -> None:
    async with SmtpSink(Features(size=5_000)) as sink:
        large, small = await open_channel(sink.port).send([email(1, text="x" * 80 * 80), email(2)])
        assert isinstance(large, PermanentFailure)
        assert large.reason is Reason.PROVIDER_UNSUPPORTED
        assert isinstance(small, Sent)
        assert sink.begun == 1
        assert sink.messages[0].parameters == f"SIZE={len(sink.messages[0].content)}"


async def test_an_address_that_can_not_be_carried_is_refused_and_the_others_go_on(
    sink: SmtpSink, open_channel: Open
) -> None:
    refused, sent = await open_channel(sink.port).send([email(1, "a b@example.com"), email(2)])
    assert isinstance(refused, PermanentFailure)
    assert refused.reason is Reason.RECIPIENT_REFUSED
    assert isinstance(sent, Sent)


@pytest.mark.parametrize("mechanisms", ["PLAIN LOGIN", "LOGIN", "=LOGIN"])
async def test_credentials_are_given_on_loopback(mechanisms: str, open_channel: Open) -> None:
    async with SmtpSink(Features(auth=mechanisms, user="clärion", password="söcret")) as sink:
        channel = open_channel(sink.port, username="clärion", password="söcret")
        assert all_sent(await channel.send([email()]))
        assert sink.commands["AUTH"] == 1


async def test_a_server_without_a_known_mechanism_is_a_matter_of_credentials(open_channel: Open) -> None:
    async with SmtpSink(Features(auth="CRAM-MD5", user="clarion")) as sink:
        [outcome] = await open_channel(sink.port, username="clarion", password="x").send([email()])
        assert isinstance(outcome, TransientFailure)
        assert outcome.reason is Reason.PROVIDER_CREDENTIALS
        assert not sink.commands["AUTH"]


@pytest.mark.parametrize(
    "content",
    [
        b"a\r\n.\r\nb",
        b"a\n.\nb",
        b"a\r.\rb",
        b"a\n.\r\nb",
        b"a\r\n.\nb",
        b"a\r.\r\nb",
        b".",
        b".\r\n",
        b"..\r\n.",
        b"\r",
        b"\n",
        b"",
    ],
)
def test_no_content_holds_an_end_of_its_own(content: bytes) -> None:
    wire = stuffed(content)
    assert wire.count(b"\r\n") == wire.count(b"\n") == wire.count(b"\r")
    assert not [line for line in wire.split(b"\r\n") if line.startswith(b".") and not line.startswith(b"..")]
    assert not wire or wire.endswith(b"\r\n")


def test_the_configuration_follows_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    login = {"smtp_username": "u", "smtp_password": SecretStr("secret"), "smtp_security": "starttls"}
    settings = WorkerSettings(smtp_host="mx", smtp_port=2525, **login)
    made = from_settings(settings)
    assert (made.host, made.port, made.username, made.password, made.connections) == ("mx", 2525, "u", "secret", 8)
    assert "secret" not in repr(made)


def test_a_wrong_authority_file_is_told_at_start(tmp_path: Path) -> None:
    with pytest.raises(OSError):  # noqa: PT011
        EmailChannel(config(25, security="tls", ca_file=tmp_path / "missing.pem"))
