from __future__ import annotations

import base64
import hashlib
import json
import zlib
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import aiosmtplib
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarion_core.domain.medium import Channel
from clarion_stack.catcher import catch_mail
from clarion_stack.mailbox import SUFFIXES, Mailbox
from clarion_stack.page import Shelf, read_mail, render_page
from clarion_stack.records import Call, Notification, Record, TextMessage

HOSTILE = "</script><script>alert(1)</script><!-- \u2028 \u2029 <iframe srcdoc='x'> & \u202e {data} {script-sha256}"


def message(subject: str = "Order A-1", html: str = "<p>Hello</p>", message_id: str = "00j4k-1") -> EmailMessage:
    made = EmailMessage()
    made["From"] = "Shop <shop@example.com>"
    made["To"] = "Zoë <zoe@example.com>"
    made["Subject"] = subject
    made["Message-ID"] = f"<{message_id}@clarion.invalid>"
    made.set_content("Hello in text")
    made.add_alternative(html, subtype="html")
    return made


class Page(HTMLParser):
    """What a browser would find in the page: scripts it would run, data, the policy, and every element's name."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.data: dict[str, Any] = {}
        self.blocks: list[str] = []
        self.policy = ""
        self.elements: set[str] = set()
        self._inside: dict[str, str | None] | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        found = dict(attrs)
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found["content"] or ""
        self._inside = found if tag == "script" else None

    def handle_data(self, data: str) -> None:
        if self._inside is not None and self._inside.get("type") == "application/json":
            self.data[str(self._inside["id"])] = json.loads(data)
            self.blocks.append(data)
        elif self._inside is not None and self._inside.get("type") == "text/plain":
            self.data[str(self._inside["id"])] = json.loads(zlib.decompress(base64.b64decode(data)))
            self.blocks.append(data)
        elif self._inside is not None:
            self.scripts.append(data)
        self._inside = None


def page_of(mailbox: Mailbox) -> Page:
    return Page(mailbox.page.read_text(encoding="utf-8"))


async def send(port: int, *messages: EmailMessage, **envelope: Any) -> None:
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=port) as smtp:
        for each in messages:
            await smtp.send_message(each, **envelope)


async def test_a_message_is_a_complete_file_when_it_is_answered(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    async with catch_mail(mailbox) as port:
        await send(port, message(html=".\r\n..two dots" * 100), sender="bounce@example.com", recipients=["a@b.test"])
        [file] = mailbox.files()
        lines = file.read_bytes().split(b"\r\n")
        assert lines[:2] == [b"Return-Path: <bounce@example.com>", b"Delivered-To: a@b.test"]
        assert b"..two dots." in lines
        assert lines[-2].startswith(b"--===")


async def test_files_sort_by_arrival_and_carry_the_message_id(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    async with catch_mail(mailbox) as port:
        await send(port, *(message(subject=str(at), message_id=f"00j4k-{at}") for at in range(12)), message())
    assert [read_mail(file).summary.count(f'"subject":"{at}"') for at, file in enumerate(mailbox.files()[:12])] == [
        1
    ] * 12
    assert mailbox.message_ids() == {f"00j4k-{at}": 2 if at == 1 else 1 for at in range(12)}


@pytest.mark.parametrize("hostile_id", ["../../etc/passwd", "a/b\\c", "x" * 500, "é\u202e", ""])
def test_no_message_id_leaves_the_directory(tmp_path: Path, hostile_id: str) -> None:
    mailbox = Mailbox(tmp_path / "mail")
    content = f"Message-ID: <{hostile_id}@evil.test>\r\n\r\nhello".encode()
    path = mailbox.deliver("a@b.test", ["c@d.test"], content)
    assert mailbox.files() == [path]
    assert list(tmp_path.iterdir()) == [tmp_path / "mail"]


async def test_the_page_shows_the_newest_first_with_every_part(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    async with catch_mail(mailbox) as port:
        await send(port, message(subject="Замовлення 1"), message(subject="订单 2"))
    page = page_of(mailbox)
    assert [mail["subject"] for mail in page.data["index"]["email"]["items"]] == ["订单 2", "Замовлення 1"]
    assert page.data["index"]["email"]["items"][0]["to"] == "Zoë <zoe@example.com>"
    assert page.data["email0"]["html"].strip() == "<p>Hello</p>"
    assert page.data["email0"]["text"].strip() == "Hello in text"
    assert ["Message-ID", "<00j4k-1@clarion.invalid>"] in page.data["email0"]["headers"]
    assert "Return-Path: <shop@example.com>" in page.data["email0"]["raw"]


def test_a_hostile_message_stays_data(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    harmless = Page(render_page({}))
    # The library refuses line separators in a subject; a stranger's software does not.
    subject = base64.b64encode(HOSTILE.encode())
    content = message(subject="SUBJECT", html=HOSTILE).as_bytes().replace(b"SUBJECT", b"=?utf-8?b?" + subject + b"?=")
    mailbox.deliver("a@b.test", ["c@d.test"], content)
    mailbox.refresh_page()
    page = page_of(mailbox)
    assert page.data["email0"]["html"].strip() == HOSTILE
    assert page.data["index"]["email"]["items"][0]["subject"] == HOSTILE
    # Not only no end tag: a browser also takes `</script x>` and `<!--` for markup, wherever they stand.
    assert not any(character in block for block in page.blocks for character in "<>\u2028\u2029")
    assert page.elements == harmless.elements
    assert page.scripts == harmless.scripts


def test_the_page_runs_one_script_and_loads_nothing() -> None:
    page = Page(render_page({}))
    [script] = page.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = {name: values for name, *values in (each.split() for each in page.policy.split(";"))}
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == [f"'sha256-{digest}'"]
    assert policy["img-src"] == ["data:"]
    assert {"form-action", "base-uri"} <= policy.keys()
    assert "link" not in page.elements
    assert 'setAttribute("sandbox", "")' in script
    assert "innerHTML" not in script


@pytest.mark.parametrize(
    ("channel", "record"),
    [
        (Channel.SMS, TextMessage(source=HOSTILE, to=HOSTILE, alphabet=HOSTILE, parts=[HOSTILE], ids=[HOSTILE])),
        (Channel.PUSH, Notification(name=HOSTILE, device=HOSTILE, message={"notification": {"title": HOSTILE}})),
        (Channel.WEBHOOK, Call(url=HOSTILE, signature=HOSTILE, headers=[(HOSTILE, HOSTILE)], body=HOSTILE)),
    ],
)
def test_a_hostile_message_of_any_channel_stays_data(tmp_path: Path, channel: Channel, record: Record) -> None:
    mailbox = Mailbox(tmp_path)
    mailbox.keep(channel, HOSTILE, record)
    mailbox.refresh_page()
    page, harmless = page_of(mailbox), Page(render_page({}))
    assert json.loads(page.data[f"{channel}0"]["raw"]) == json.loads(msgspec.json.encode(record))
    assert HOSTILE in page.data["index"][channel.value]["items"][0]["to"]
    assert not any(character in block for block in page.blocks for character in "<>\u2028\u2029")
    assert page.elements == harmless.elements
    assert page.scripts == harmless.scripts
    assert [path.parent for path in mailbox.files(channel)] == [tmp_path]


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"message": 3, "device": {}}', "[" * 100_000, "\udcff"])
@pytest.mark.parametrize("channel", [Channel.SMS, Channel.PUSH, Channel.WEBHOOK])
def test_a_file_that_is_not_ours_is_shown_as_it_is(tmp_path: Path, channel: Channel, text: str) -> None:
    (tmp_path / f"strange{SUFFIXES[channel]}").write_bytes(text.encode(errors="surrogateescape"))
    mailbox = Mailbox(tmp_path)
    mailbox.refresh_page()
    page = page_of(mailbox)
    assert page.data["index"][channel.value]["total"] == 1
    assert page.data[f"{channel}0"]["raw"] == text.encode(errors="surrogateescape").decode(errors="replace")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    head=st.lists(
        st.tuples(
            st.sampled_from(["From", "To", "Subject", "Content-Type", "Content-Transfer-Encoding", "MIME-Version"]),
            st.sampled_from(
                [b"multipart/alternative", b"text/html; charset=nonsense", b"base64", b"=?utf-8?b?//?=", b"<@"]
            )
            | st.binary(max_size=40),
        ),
        max_size=6,
    ),
    body=st.binary(max_size=200),
)
def test_every_message_can_be_shown(tmp_path: Path, head: list[tuple[str, bytes]], body: bytes) -> None:
    path = tmp_path / "message.eml"
    path.write_bytes(b"".join(name.encode() + b": " + value + b"\r\n" for name, value in head) + b"\r\n" + body)
    page = Page(render_page({Channel.EMAIL: Shelf([read_mail(path)], 1)}))
    assert page.data["index"]["email"]["items"][0]["file"] == "message.eml"
    assert page.data["email0"]["raw"] == path.read_bytes().decode(errors="replace")


def test_the_page_is_bounded_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path, page_holds=3)
    for at in range(5):
        mailbox.deliver("a@b.test", ["c@d.test"], message(subject=str(at)).as_bytes())
    mailbox.refresh_page()
    index = page_of(mailbox).data["index"]["email"]
    assert index["total"] == 5
    assert [mail["subject"] for mail in index["items"]] == ["4", "3", "2"]


async def test_catchers_that_share_a_directory_show_each_others_mail(tmp_path: Path) -> None:
    async with catch_mail(Mailbox(tmp_path)) as first, catch_mail(Mailbox(tmp_path)) as second:
        await send(first, message(subject="one"))
        await send(second, message(subject="two"))
    assert {mail["subject"] for mail in page_of(Mailbox(tmp_path)).data["index"]["email"]["items"]} == {"one", "two"}


def test_clearing_removes_the_messages_of_a_mark_alone(tmp_path: Path) -> None:
    ours, earlier, others = Mailbox(tmp_path, "demo"), Mailbox(tmp_path, "demo"), Mailbox(tmp_path)
    for mailbox in (ours, earlier, others):
        mailbox.deliver("a@b.test", ["c@d.test"], message(message_id="demo-1").as_bytes())
    assert ours.message_ids() == {"demo-1": 3}
    assert others.clear() == 0
    assert ours.clear() == 2
    assert ours.message_ids() == {"demo-1": 1}


def test_a_page_is_not_written_again_where_nothing_arrived(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path)
    mailbox.deliver("a@b.test", ["c@d.test"], b"Subject: one\r\n\r\n")
    mailbox.refresh_page()
    before = mailbox.page.stat().st_ino
    mailbox.refresh_page()
    assert mailbox.page.stat().st_ino == before


async def test_a_message_that_cannot_be_kept_is_to_be_sent_again(tmp_path: Path) -> None:
    mailbox = Mailbox(tmp_path / "mail")
    async with catch_mail(mailbox) as port:
        (tmp_path / "mail").rename(tmp_path / "gone")
        with pytest.raises(aiosmtplib.SMTPDataError) as refused:
            await send(port, message())
        assert refused.value.code == 452
        (tmp_path / "gone").rename(tmp_path / "mail")
        await send(port, message())
    assert len(mailbox.files()) == 1
