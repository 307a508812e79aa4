"""What the configuration says of all mail is on each message that a worker sends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from clarion_core import verp
from clarion_core.domain.campaign import Category
from clarion_core.domain.content import Attachment
from clarion_core.domain.medium import Medium
from clarion_core.domain.recipient import Recipient
from clarion_core.settings import WorkerSettings
from clarion_core.store.records import encode_recipient
from clarion_core.store.store import Store
from clarion_workers.routers import Opener
from support.dkim import pem, rsa_key, verified
from support.hearing import a_hearing
from support.post import EMAIL, Post, email_campaign
from support.records import Records
from support.smtp_sink import SmtpSink

SECRET = b"a secret of bounces"
FILE = """
email:
  providers: [{name: smtp, smtp: {host: 127.0.0.1, port: PORT}}]
  dkim: [{domain: example.com, selector: r2026, private_key: {env: DKIM_KEY}}]
  bounces: {domain: bounces.example.com, secret: {env: BOUNCES}}
  unsubscribe: {url: "https://go.example.com/u/{delivery}"}
  feedback_sender: lumenloom
"""


@pytest.fixture
async def post(
    records: Records, store: Store, sink: SmtpSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Post]:
    """A delivery step whose provider is opened as the file says."""
    monkeypatch.setenv("DKIM_KEY", pem(rsa_key()))
    monkeypatch.setenv("BOUNCES", SECRET.decode())
    file = tmp_path / "channels.yaml"
    file.write_text(FILE.replace("PORT", str(sink.port)))
    opener = Opener(WorkerSettings(channels=file), store, a_hearing(store))
    router = opener.own()["email"].routers[Medium.EMAIL]
    made = Post(records, sink.port, router=router)
    yield made
    await made.close()
    await router.close()


async def test_a_worker_signs_what_it_sends_and_says_how_to_end_it(
    records: Records, sink: SmtpSink, post: Post
) -> None:
    campaign = await email_campaign(records, category=Category.TRANSACTIONAL)
    await records.trigger(1)
    [job] = await records.jobs()
    await post.run(job)
    [received] = sink.messages
    delivery = received.message_id.partition("@")[0]
    assert verp.decode(received.mail_from, "bounces.example.com", [SECRET]) == delivery
    assert verified(received.content) == [True]
    message = message_from_bytes(received.content, policy=default)
    assert message["List-Unsubscribe"] == f"<https://go.example.com/u/{delivery}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Feedback-ID"] == f"{campaign.id}:transactional:{campaign.workspace}:lumenloom"
    assert message["Auto-Submitted"] == "auto-generated"


async def test_what_goes_with_a_campaigns_mail_arrives(records: Records, sink: SmtpSink, post: Post) -> None:
    content = replace(
        EMAIL,
        html='<img src="cid:logo">',
        amp="<html amp4email></html>",
        cc=("{{ profile.boss }}", "{{ profile.nobody | default('') }}"),
        bcc=("archive@example.com",),
        attachments=(
            Attachment(name="terms.pdf", content_type="application/pdf", data=b"%PDF"),
            Attachment(name="logo.png", content_type="image/png", data=b"\x89PNG", content_id="logo"),
        ),
        headers={"X-Who": "{{ recipient.user_id }}"},
        list_unsubscribe=("https://go.example.com/{{ recipient.user_id }}",),
    )
    await email_campaign(records, email=content)
    recipient = Recipient(user_id="ada", addresses={"email": "ada@example.com"}, profile={"boss": "boss@example.com"})
    await records.trigger(1, rows=[encode_recipient(recipient)])
    [job] = await records.jobs()
    await post.run(job)
    received = await sink.wait_for(3)
    assert {message.rcpt_to[0].partition("@")[0] for message in received} == {"ada", "boss", "archive"}
    first = message_from_bytes(received[0].content, policy=default)
    assert [part.get_content_type() for part in first.walk() if not part.is_multipart()] == [
        "text/plain", "text/x-amp-html", "text/html", "image/png", "application/pdf",
    ]  # fmt: skip
    assert (first["X-Who"], first["Cc"]) == ("ada", "boss@example.com")
    assert first["List-Unsubscribe"] == "<https://go.example.com/ada>"
    assert b"List-Unsubscribe" not in received[1].content + received[2].content
