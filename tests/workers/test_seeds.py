"""Seeds: who else gets a copy of a revision, once, and that nobody is bothered by it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage as Parsed
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
import structlog

from clarion_core.configuration.seeds import MOST_SEEDS
from clarion_core.domain.campaign import Action, ContextField, FieldType
from clarion_core.domain.errors import StoreUnavailable
from clarion_core.domain.medium import Channel, Medium
from clarion_core.domain.recipient import Recipient
from clarion_core.domain.suppression import Entry, SuppressionReason, Target, TargetKind
from clarion_core.settings import WorkerSettings
from clarion_core.store.keys import LIMITS
from clarion_core.store.records import encode_recipient
from clarion_core.store.store import Store
from clarion_core.store.suppressions import Suppressions
from clarion_workers.routers import Opener
from support.clarion import Clarion, an_email
from support.post import EMAIL, Post, email_campaign
from support.records import Records, until
from support.scrape import scrape
from support.smtp_sink import Received, SmtpSink

FILE = """
email:
  providers: [{name: smtp, smtp: {host: 127.0.0.1, port: PORT}}]
  bounces: {domain: bounces.example.com, secret: {env: BOUNCES}}
  unsubscribe: {url: "https://go.example.com/u/{delivery}"}
  seeds:
    addresses: [ADDRESSES]
    profile: {first_name: Ada, orders: [{total: 12.5}]}
"""
SEEDS = ("inbox@seeds.example", "second@seeds.example")
CONTENT = replace(
    EMAIL,
    subject="{{ profile.first_name }}, {{ recipient.user_id }}",
    text="{{ order_id }} {{ profile.orders[0].total }} https://go.example.com/u/{{ recipient.user_id }}",
    bcc=("archive@example.com",),
    list_unsubscribe=("https://go.example.com/u/{{ recipient.user_id }}",),
)
CONTEXT = (ContextField(name="order_id", type=FieldType.STRING, required=True),)
BOB = Recipient(
    user_id="bob",
    addresses={"email": "bob@example.com"},
    profile={"first_name": "Bob", "orders": [{"total": 7}]},
    context={"order_id": "LL-1"},
)
APost = Callable[..., Post]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A file of channel configurations with seeds."""
    monkeypatch.setenv("BOUNCES", "a secret of bounces")

    def write(sink: SmtpSink, addresses: tuple[str, ...] = SEEDS) -> Path:
        path = tmp_path / "channels.yaml"
        path.write_text(FILE.replace("PORT", str(sink.port)).replace("ADDRESSES", ", ".join(addresses)))
        return path

    return write


@pytest.fixture
async def a_post(records: Records, store: Store, sink: SmtpSink, file: Any) -> AsyncIterator[APost]:
    made: list[Post] = []

    def make(*addresses: str) -> Post:
        opener = Opener(WorkerSettings(channels=file(sink, addresses or SEEDS)), store)
        made.append(Post(records, sink.port, router=opener.own()["email"].routers[Medium.EMAIL]))
        return made[-1]

    yield make
    for post in made:
        await ended(post)


async def ended(post: Post) -> None:
    """Once all copies are sent; nothing can be sent any more."""
    await post.close()
    await post.router.close()


async def sent(records: Records, post: Post, recipient: Recipient = BOB, campaign_id: str = "welcome") -> str:
    trigger = await records.trigger(1, rows=[encode_recipient(recipient)], campaign_id=campaign_id)
    [job] = await records.jobs()
    await post.run(job)
    [record] = await records.deliveries(trigger)
    return str(record.state.name)


def to(sink: SmtpSink, *addresses: str) -> list[Received]:
    return [received for received in sink.messages if received.rcpt_to[0] in addresses]


def parsed(received: Received) -> Parsed:
    return message_from_bytes(received.content, policy=default)


async def test_each_seed_gets_one_copy_with_the_seeds_profile_and_the_deliverys_context(
    records: Records, sink: SmtpSink, a_post: APost
) -> None:
    await email_campaign(records, email=CONTENT, context=CONTEXT)
    post = a_post()
    assert await sent(records, post) == "SENT"
    await ended(post)
    [original] = to(sink, "bob@example.com")
    assert parsed(original)["Subject"] == "Bob, bob"
    found = to(sink, *SEEDS)
    assert sorted(parsed(each)["To"] for each in found) == sorted(SEEDS)
    assert {parsed(each)["Subject"] for each in found} == {"Ada, seed"}
    assert {parsed(each).get_content().strip() for each in found} == {"LL-1 12.5 #"}
    assert post.seeds == {"sent": 2}
    assert len(to(sink, "archive@example.com")) == 1  # what is copied to a recipient's copies is not to a seed's


async def test_a_seed_can_not_act_for_anybody_and_is_in_no_report(
    records: Records, sink: SmtpSink, a_post: APost
) -> None:
    await email_campaign(records, email=CONTENT, context=CONTEXT)
    post = a_post()
    await sent(records, post)
    await ended(post)
    for received in to(sink, *SEEDS):
        message = parsed(received)
        assert received.mail_from == "bounce+copy@bounces.example.com"
        assert message["X-Clarion-Copy"] == "seed"
        assert message["List-Unsubscribe"] is None
    ids = {received.message_id for received in sink.messages}
    assert len(ids) == len(sink.messages)
    counts = await records.campaigns.counts("default/welcome")
    assert (counts.accepted, counts.sent) == (1, 1)


async def test_a_revision_has_its_seeds_once_whoever_sends_it(records: Records, sink: SmtpSink, a_post: APost) -> None:
    await email_campaign(records, email=CONTENT, context=CONTEXT)
    one, other = a_post(), a_post()
    for post in (one, one, other):
        await sent(records, post)
    await email_campaign(records, email=replace(CONTENT, subject="New"), context=CONTEXT)
    await sent(records, other)
    await ended(one)
    await ended(other)
    assert sorted(str(parsed(each)["Subject"]) for each in to(sink, SEEDS[0])) == ["Ada, seed", "New"]
    assert (one.seeds, other.seeds) == ({"sent": 2}, {"sent": 2})


async def test_the_mark_lives_as_long_as_its_revision(records: Records) -> None:
    campaign = await email_campaign(records)
    name = "clarion:{control}:sd:default/welcome:1"
    assert [await records.campaigns.seed(campaign.key, 1, each) for each in ("a", "a", "b")] == [True, False, True]
    assert await records.store.command("PTTL", name) == -1
    await records.act(Action.STOP)
    slot = await records.campaigns.read("default", "welcome")
    assert slot.campaign
    await records.campaigns.delete(slot.campaign, records.request())
    assert 0 < await records.store.command("PTTL", name) <= LIMITS["REVISION_TTL_MS"]
    assert await records.campaigns.seed(campaign.key, 1, "c")
    assert 0 < await records.store.command("PTTL", name) <= LIMITS["REVISION_TTL_MS"]
    assert await records.campaigns.seed(campaign.key, 9, "a")  # one that is gone already
    assert await records.store.command("PTTL", "clarion:{control}:sd:default/welcome:9") > 0


async def test_who_may_not_be_sent_to_gets_nothing_as_a_seed_either(
    records: Records, store: Store, sink: SmtpSink, a_post: APost
) -> None:
    await email_campaign(records, email=CONTENT, context=CONTEXT)
    entry = Entry(target=Target(TargetKind.ADDRESS, SEEDS[0]), reason=SuppressionReason.COMPLAINT)
    await Suppressions(store).add("default", Channel.EMAIL, [entry])
    post = a_post()
    with structlog.testing.capture_logs() as lines:
        assert await sent(records, post) == "SENT"
        await ended(post)
    assert [received.rcpt_to for received in to(sink, *SEEDS)] == [[SEEDS[1]]]
    assert post.seeds == {"sent": 1, "suppressed": 1}
    assert SEEDS[0] not in repr(lines)


async def test_what_can_not_be_rendered_for_seeds_is_told_with_its_place_and_recipients_have_their_mail(
    records: Records, sink: SmtpSink, a_post: APost
) -> None:
    text = "Hello\n{{ profile.city.upper() }}"
    await email_campaign(records, email=replace(CONTENT, text=text), context=CONTEXT)
    post = a_post()
    with structlog.testing.capture_logs() as lines:
        recipient = replace(BOB, profile={"first_name": "Bob", "city": "Bern"})
        assert await sent(records, post, recipient) == "SENT"
        await ended(post)
    [line] = [line for line in lines if line["event"] == "seeds_not_rendered"]
    assert line["detail"].startswith("email.text, line 2: UndefinedError")
    assert not to(sink, *SEEDS)
    assert post.seeds == {"failed": 2}


async def test_seeds_that_are_refused_or_cut_off_concern_nobody(
    records: Records, sink: SmtpSink, a_post: APost
) -> None:
    await email_campaign(records, email=CONTENT, context=CONTEXT)
    post = a_post("rcpt-550+1@seeds.example", "dot-drop+2@seeds.example", "third@seeds.example")
    assert await sent(records, post) == "SENT"
    await ended(post)
    assert len(to(sink, "third@seeds.example")) == 1
    assert post.seeds == {"sent": 1, "failed": 1, "ambiguous": 1}


async def test_a_store_that_is_away_is_asked_again_with_the_next_batch(
    records: Records, sink: SmtpSink, a_post: APost, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = records.campaigns.seed
    answers = [StoreUnavailable()]

    async def seed(*of: Any) -> bool:
        if answers:
            raise answers.pop()
        return await asks(*of)

    monkeypatch.setattr(records.campaigns, "seed", seed)
    await email_campaign(records, email=CONTENT, context=CONTEXT)
    post = a_post()
    assert [await sent(records, post) for _ in range(2)] == ["SENT", "SENT"]
    await ended(post)
    assert len(to(sink, *SEEDS)) == 2


async def test_as_many_as_there_can_be_get_their_copies(records: Records, sink: SmtpSink, a_post: APost) -> None:
    await email_campaign(records, email=CONTENT, context=CONTEXT)
    addresses = [f"seed-{number}@seeds.example" for number in range(MOST_SEEDS)]
    post = a_post(*addresses)
    assert await sent(records, post) == "SENT"
    await ended(post)
    assert sorted(received.rcpt_to[0] for received in to(sink, *addresses)) == sorted(addresses)


async def test_a_worker_sends_them_and_counts_them(clarion: Clarion, file: Any) -> None:
    await clarion.live_campaign(contents=[an_email(subject="{{ profile.first_name | default('you') }}")])
    async with SmtpSink() as sink:
        room = await clarion.work(sink.port, channels=file(sink), metrics="127.0.0.1:0")
        trigger = await clarion.finished((await clarion.trigger(3)).name)

        async def counted() -> bool:
            found = (await scrape(room.exposition.address)).by("clarion_worker_seeds_total", "outcome")
            return found == {"sent": 2, "failed": 0, "ambiguous": 0, "suppressed": 0}

        await until(counted)
    assert trigger.counts.accepted == trigger.counts.sent == 3
    assert {str(parsed(each)["Subject"]) for each in to(sink, *SEEDS)} == {"Ada"}
