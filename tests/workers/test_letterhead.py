"""What the configuration says of all mail is on each message that a worker sends."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from clarion_core import verp
from clarion_core.domain.campaign import Category
from clarion_core.domain.medium import Medium
from clarion_core.hearing import Hearing
from clarion_core.settings import WorkerSettings
from clarion_core.store.facts import FactStore
from clarion_core.store.store import Store
from clarion_core.store.suppressions import Suppressions
from clarion_workers.routers import Opener
from support.dkim import pem, rsa_key, verified
from support.post import Post, email_campaign
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


async def test_a_worker_signs_what_it_sends_and_says_how_to_end_it(
    records: Records, store: Store, sink: SmtpSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DKIM_KEY", pem(rsa_key()))
    monkeypatch.setenv("BOUNCES", SECRET.decode())
    file = tmp_path / "channels.yaml"
    file.write_text(FILE.replace("PORT", str(sink.port)))
    opener = Opener(WorkerSettings(channels=file), store, Hearing(FactStore(store, 1, 86_400), Suppressions(store)))
    router = opener.own()["email"].routers[Medium.EMAIL]
    post = Post(records, sink.port, router=router)
    try:
        campaign = await email_campaign(records, category=Category.TRANSACTIONAL)
        await records.trigger(1)
        [job] = await records.jobs()
        await post.run(job)
    finally:
        await post.close()
        await router.close()
    [received] = sink.messages
    delivery = received.message_id.partition("@")[0]
    assert verp.decode(received.mail_from, "bounces.example.com", [SECRET]) == delivery
    assert verified(received.content) == [True]
    message = message_from_bytes(received.content, policy=default)
    assert message["List-Unsubscribe"] == f"<https://go.example.com/u/{delivery}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Feedback-ID"] == f"{campaign.id}:transactional:{campaign.workspace}:lumenloom"
    assert message["Auto-Submitted"] == "auto-generated"
