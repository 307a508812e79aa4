"""Copies: their own messages, sent afterwards, that act for nobody and harm nobody."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from email import message_from_bytes
from email.message import EmailMessage as Parsed
from email.policy import default
from typing import Any

import pytest
import structlog

from clarion_core.domain.errors import StoreUnavailable
from clarion_core.domain.outcome import Ambiguous, PermanentFailure, Sent
from clarion_workers.channels import CutOff
from clarion_workers.channels.email import EmailChannel
from clarion_workers.channels.email import copies as module
from clarion_workers.channels.email.copies import Copying
from clarion_workers.channels.email.letterhead import Bounces, Letterhead, Unsubscribing
from clarion_workers.channels.email.neutral import neutral
from clarion_workers.channels.kind import Lookup
from support.dkim import signing, verified
from support.emails import config, email
from support.smtp_sink import SmtpSink

SHARED = Letterhead(
    bounces=Bounces(domain="bounces.example.com", secret=b"a secret of bounces"),
    unsubscribing=Unsubscribing(url="https://go.example.com/{delivery}", mailto="mailto:off@example.com"),
    signers=signing().signers,
)


class Stand:
    def __init__(self, sink: SmtpSink, *, lookup: Lookup | None = None, **changes: Any) -> None:
        self.counts: Counter[str] = Counter()
        self.channel = Copying(EmailChannel(config(sink.port, **changes), SHARED), self.counts, lookup)


@pytest.fixture
async def stand(sink: SmtpSink) -> AsyncIterator[Stand]:
    made = Stand(sink)
    yield made
    await made.channel.close()


def parsed(sink: SmtpSink, address: str) -> Parsed:
    [received] = [message for message in sink.messages if message.rcpt_to == [address]]
    assert verified(received.content) == [True, True]
    return message_from_bytes(received.content, policy=default)


async def test_a_copy_goes_out_once_the_message_is_taken(sink: SmtpSink, stand: Stand) -> None:
    message = email(1, cc=("Boss <boss@example.com>",), bcc=("archive@example.com",))
    assert message.weight == 3
    [outcome] = await stand.channel.send([message])
    assert isinstance(outcome, Sent)
    await sink.wait_for(3)
    assert [each.rcpt_to for each in sink.messages] == [
        ["ada1@example.com"],
        ["boss@example.com"],
        ["archive@example.com"],
    ]
    assert [parsed(sink, to)["Cc"] for to in ("ada1@example.com", "archive@example.com")] == [
        "Boss <boss@example.com>"
    ] * 2
    assert "archive" not in str(parsed(sink, "ada1@example.com")) + str(parsed(sink, "boss@example.com"))
    await stand.channel.close()
    assert stand.counts == {"sent": 2}


async def test_a_copy_can_not_act_for_the_recipient(sink: SmtpSink, stand: Stand) -> None:
    await stand.channel.send([email(1, cc=("boss@example.com",))])
    await sink.wait_for(2)
    original, copy = parsed(sink, "ada1@example.com"), parsed(sink, "boss@example.com")
    assert original["List-Unsubscribe"] == "<https://go.example.com/00j4k-1>, <mailto:off@example.com>"
    assert "00j4k-1" in sink.messages[0].mail_from
    assert copy["X-Clarion-Copy"] == "cc"
    assert not [name for name in copy if name.startswith("List-")]
    assert sink.messages[1].mail_from == "bounce+copy@bounces.example.com"
    assert (copy["To"], copy["Subject"]) == (original["To"], original["Subject"])
    assert copy["References"] == original["Message-ID"] != copy["Message-ID"]


@pytest.mark.parametrize("to", ["dot-451+1@example.com", "rcpt-550+1@example.com", "dot-drop+1@example.com"])
async def test_what_is_not_taken_has_no_copies(to: str, sink: SmtpSink, stand: Stand) -> None:
    await stand.channel.send([email(1, to, cc=("boss@example.com",))])
    await stand.channel.close()
    assert ["boss@example.com"] not in [message.rcpt_to for message in sink.messages]
    assert not stand.counts


async def test_a_copy_that_fails_changes_nothing_and_is_counted(sink: SmtpSink, stand: Stand) -> None:
    bad = ("rcpt-550+1@example.com", "no address", "dot-451+x@example.com", "dot-drop+x@example.com")
    with structlog.testing.capture_logs() as lines:
        outcomes = await stand.channel.send([email(1, cc=bad), email(2, bcc=("archive@example.com",))])
        await stand.channel.close()
    assert [type(outcome) for outcome in outcomes] == [Sent, Sent]
    assert stand.counts == {"sent": 1, "failed": 3, "ambiguous": 1}
    [line] = [line for line in lines if line["event"] == "copies_not_sent"]
    assert line["copies"] == 4
    assert "@" not in repr(line)
    assert [name for name in parsed(sink, "ada1@example.com")["Cc"].split(", ") if name == "no address"] == []


async def test_the_recipient_gets_no_copy_of_the_own_message(sink: SmtpSink, stand: Stand) -> None:
    await stand.channel.send([email(1, cc=("Ada <ADA1@example.com>",), bcc=("ada1@example.com", "b@example.com"))])
    await stand.channel.close()
    assert [message.rcpt_to for message in sink.messages] == [["ada1@example.com"], ["b@example.com"]]


async def test_what_was_sent_before_a_cut_has_its_copies(sink: SmtpSink) -> None:
    stand = Stand(sink, connections=1)
    messages = [email(1, bcc=("archive@example.com",)), email(2, "dot-hang+2@example.com", bcc=("b@example.com",))]
    call = asyncio.create_task(stand.channel.send(messages))
    await sink.wait_for(2)
    call.cancel()
    with pytest.raises(CutOff) as cut:
        await call
    assert [type(outcome) for outcome in cut.value.outcomes] == [Sent, Ambiguous]
    sink.released.set()
    await stand.channel.close()
    assert [message.rcpt_to for message in sink.messages][2:] == [["archive@example.com"]]


async def test_messages_wait_while_too_many_copies_do(sink: SmtpSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 1)
    stand = Stand(sink, connections=1)
    await stand.channel.send([email(1, cc=("dot-hang+1@example.com", "b@example.com"))])
    call = asyncio.create_task(stand.channel.send([email(2)]))
    await sink.wait_for(2)
    call.cancel()
    with pytest.raises(CutOff) as cut:
        await call
    assert cut.value.outcomes == [None]
    sink.released.set()
    [outcome] = await stand.channel.send([email(3)])
    assert isinstance(outcome, Sent)
    await stand.channel.close()
    assert "00j4k-2@mail.example.com" not in [message.message_id for message in sink.messages]


async def test_copies_in_hand_are_cut_off_when_the_channel_has_to_close(
    sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_END_S", 0)
    stand = Stand(sink)
    [outcome] = await stand.channel.send([email(1, cc=("dot-hang+1@example.com",))])
    assert isinstance(outcome, Sent)
    await sink.wait_for(2)
    await stand.channel.close()
    assert stand.counts == {"ambiguous": 1}


async def test_who_may_not_be_sent_to_gets_no_copy(sink: SmtpSink) -> None:
    asked: list[tuple[str, list[str]]] = []

    async def lookup(workspace: str, addresses: Sequence[str]) -> list[bool]:
        asked.append((workspace, list(addresses)))
        return [address != "boss@example.com" for address in addresses]

    stand = Stand(sink, lookup=lookup)
    messages = [
        email(n, cc=("Boss <boss@example.com>", "no address"), bcc=("archive@example.com",), workspace="shop")
        for n in (1, 2)
    ]
    with structlog.testing.capture_logs() as lines:
        outcomes = await stand.channel.send(messages)
        await stand.channel.close()
    assert [type(outcome) for outcome in outcomes] == [Sent, Sent]
    assert asked == [("shop", ["boss@example.com", "archive@example.com"])]
    assert Counter(message.rcpt_to[0] for message in sink.messages) == {
        "ada1@example.com": 1, "ada2@example.com": 1, "archive@example.com": 2,
    }  # fmt: skip
    assert stand.counts == {"sent": 2, "failed": 2, "suppressed": 2}
    assert "@" not in repr(lines)


async def test_nobody_gets_a_copy_while_nobody_can_say_who_may(sink: SmtpSink) -> None:
    async def lookup(workspace: str, addresses: Sequence[str]) -> list[bool]:
        raise StoreUnavailable

    stand = Stand(sink, lookup=lookup)
    [outcome] = await stand.channel.send([email(1, cc=("boss@example.com",))])
    await stand.channel.close()
    assert isinstance(outcome, Sent)
    assert (len(sink.messages), stand.counts) == (1, {"failed": 1})


WAY = "https://shop.example/out/ada?a=1&b='2'"
ESCAPED = WAY.replace("&", "&amp;").replace("'", "&#39;")


async def test_a_link_of_the_recipients_goes_nowhere_in_a_copy(sink: SmtpSink, stand: Stand) -> None:
    html = f'<a href="{ESCAPED}">out</a> <a href="https://shop.example/orders/1">order</a>'
    ways = (WAY, "mailto:out@shop.example?subject=ada")
    text = f"Out: {WAY}. Or: {ways[1]}"
    message = email(1, html=html, text=text, amp=html.encode(), list_unsubscribe=ways, cc=("b@b.example",))
    await stand.channel.send([message])
    await sink.wait_for(2)
    original, copy = parsed(sink, "ada1@example.com"), parsed(sink, "b@b.example")
    assert original.get_body(("html",)).get_content().strip() == html  # type: ignore[union-attr]
    parts = [part.get_content().strip() for part in copy.walk() if not part.is_multipart()]
    markup = '<a href="#">out</a> <a href="https://shop.example/orders/1">order</a>'
    assert parts == ["Out: #. Or: #", markup, markup]


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("https://shop.example/out/ada", "#"),
        ("https://shop.example/out/ada/sure?yes#now >", "# >"),
        ("https://shop.example/out/ada2 https://shop.example/out/ada-b", None),
        ("https://shop.example/out", None),
        ("https://go.example/?to=https%3A%2F%2Fshop.example%2Fout%2Fada&x=1", "https://go.example/?to=#"),
        ("(https://shop.example/out/ada)", "(#)"),
    ],
)
def test_what_is_the_link_and_what_only_looks_like_it(text: str, becomes: str | None) -> None:
    message = email(1, text=text, list_unsubscribe=("https://shop.example/out/ada", "https://shop.example/"))
    assert neutral(message).text.decode() == (becomes or text)


async def test_a_header_field_of_ours_can_not_be_set(stand: Stand) -> None:
    [outcome] = await stand.channel.send([email(1, headers=(("X-Clarion-Copy", "cc"),))])
    assert isinstance(outcome, PermanentFailure)
