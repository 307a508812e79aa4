"""Files of an e-mail, from the call that saves them to the mailbox."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from email import message_from_bytes
from email.policy import default
from random import Random

import pytest

from clarion_core.domain.campaign import Definition
from clarion_core.domain.content import Attachment
from clarion_core.domain.files import MIB
from clarion_core.store.campaigns import CampaignStore
from clarion_core.store.store import Store
from clarion_workers import revisions as module
from clarion_workers.revisions import Revisions
from support.clarion import Clarion, an_email
from support.post import EMAIL, email_campaign
from support.records import Records
from support.smtp_sink import SmtpSink


class Counting(CampaignStore):
    """The store, and how often it was asked."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, 1, 86_400)
        self.asked: list[str] = []

    async def definition(self, key: str, revision: int) -> Definition | None:
        self.asked.append(f"definition {revision}")
        return await super().definition(key, revision)

    async def files(self, key: str, revision: int) -> dict[str, bytes]:
        self.asked.append(f"files {revision}")
        return await super().files(key, revision)


async def test_five_mebibytes_reach_every_recipient_byte_for_byte(clarion: Clarion) -> None:
    draw = Random(7)
    sizes = [2 * MIB, MIB, MIB, MIB - 1, 1]
    files = [{"name": f"{i}.bin", "content_type": "image/png", "data": draw.randbytes(n)} for i, n in enumerate(sizes)]
    await clarion.live_campaign(contents=[an_email(attachments=files)])
    async with SmtpSink() as sink:
        await clarion.work(sink.port)
        trigger = await clarion.finished((await clarion.trigger(3)).name)
    assert trigger.counts.sent == len(sink.messages) == 3
    for received in sink.messages:
        parts = list(message_from_bytes(received.content, policy=default).iter_attachments())
        assert [(part.get_filename(), part.get_content()) for part in parts] == [(f["name"], f["data"]) for f in files]


async def test_a_revision_is_read_once_whoever_asks_meanwhile(records: Records, store: Store) -> None:
    file = Attachment(name="terms.pdf", content_type="application/pdf", data=b"%PDF")
    campaign = await email_campaign(records, email=replace(EMAIL, attachments=(file,)))
    campaigns = Counting(store)
    revisions = Revisions(campaigns)
    found = await asyncio.gather(*(revisions.get(campaign.key, 1) for _ in range(5)), revisions.get(campaign.key, 9))
    again = await revisions.get(campaign.key, 1)
    assert sorted(campaigns.asked) == ["definition 1", "definition 9", "files 1"]
    assert found == [again] * 5 + [None]


async def test_templates_are_not_given_the_files(records: Records, store: Store) -> None:
    file = Attachment(name="terms.pdf", content_type="application/pdf", data=b"%PDF")
    campaign = await email_campaign(records, email=replace(EMAIL, attachments=(file,)))
    found = await Revisions(Counting(store)).get(campaign.key, 1)
    assert found
    assert found.definition.email
    assert found.revision.definition.email
    assert found.definition.email.attachments == (file,)
    assert found.revision.definition.email.attachments == (replace(file, data=b""),)


async def test_revisions_with_large_files_make_room_for_one_another(
    records: Records, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_BYTES", 4_000)
    for name in range(5):
        file = Attachment(name="a.bin", content_type="image/png", data=bytes([name]) * 1_000)
        await email_campaign(records, campaign_id=f"welcome-{name}", email=replace(EMAIL, attachments=(file,)))
    campaigns = Counting(store)
    revisions = Revisions(campaigns)
    for name in (0, 1, 2, 3, 4, 4, 0):
        assert await revisions.get(f"default/welcome-{name}", 1)
    assert campaigns.asked.count("files 1") == 6
