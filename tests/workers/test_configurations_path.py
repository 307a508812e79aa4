"""Configurations of the service from a change to the mailbox: a real server, a real worker that goes on running."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
import trustme

from clarion.v1 import campaign_pb2, campaign_service_pb2
from clarion_core.domain.breaker import BreakerPolicy, Verdict
from clarion_core.store.breakers import Breakers
from clarion_core.store.store import Store
from clarion_workers import checking, deliver, following
from clarion_workers.app import PostRoom
from support.clarion import CAMPAIGN, Clarion, a_recipient, an_email
from support.configurations import Keeping, smtp
from support.contents import a_webhook
from support.emails import closed_port
from support.invariants import check
from support.records import Records, until
from support.refusal import refused as refusal_of
from support.smtp_sink import SmtpSink
from support.webhooks.calls import SECRET
from support.webhooks.consumer import Consumer

NAME = "orders-mail"


@pytest.fixture(autouse=True)
async def _accounted(store: Store, clarion: Clarion) -> Any:
    yield
    await check(Records(store))


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker looks for now and then, it looks for at once."""
    monkeypatch.setattr(following, "FOLLOW_S", 0.01)
    monkeypatch.setattr(checking, "LOOK_S", 0.01)
    monkeypatch.setattr(deliver, "UNSERVED_TOLD_MS", -10_000)


@pytest.fixture
def keeping(clarion: Clarion) -> Keeping:
    return Keeping(clarion)


def a_mail(name: str = NAME) -> campaign_pb2.Content:
    content = an_email()
    content.channel_configuration = name
    return content


def to(sink: SmtpSink) -> list[str]:
    return [address for message in sink.messages for address in message.rcpt_to]


async def test_a_change_is_in_force_without_a_restart(clarion: Clarion, keeping: Keeping) -> None:
    async with SmtpSink() as first, SmtpSink() as second:
        await keeping.create(NAME, smtp(first.port))
        await clarion.live_campaign(contents=[a_mail()])
        await clarion.work(closed_port())
        await clarion.finished((await clarion.trigger(3)).name)
        await keeping.update(NAME, smtp(second.port))
        await keeping.test(NAME)
        await clarion.finished((await clarion.trigger(recipients=[a_recipient(7)])).name)
        assert len(to(first)) == 3
        assert to(second) == ["user-7@example.com"]


async def test_what_waits_for_a_provider_goes_by_another_one_once_it_is_configured(
    clarion: Clarion, keeping: Keeping, store: Store
) -> None:
    never = BreakerPolicy(in_a_row=1, pause_ms=600_000, pause_max_ms=600_000)
    async with SmtpSink() as sink:
        await keeping.create(NAME, smtp(sink.port))
        await Breakers(store, channel=f"default/{NAME}", policy=never).report("main", Verdict(badly=1))
        await clarion.live_campaign(contents=[a_mail()])
        worker = await clarion.work(closed_port())
        trigger = await clarion.trigger(3)
        await until(lambda: _has_a_job(worker))
        await keeping.update(NAME, smtp(sink.port, name="other"))
        assert (await clarion.finished(trigger.name)).counts.sent == 3


async def _has_a_job(worker: PostRoom) -> bool:
    return any(lane.job_tasks for lane in worker._lanes)


async def test_deliveries_wait_for_a_configuration_that_was_removed_and_leave_by_one_that_is_made_again(
    clarion: Clarion, keeping: Keeping
) -> None:
    async with SmtpSink() as sink:
        await keeping.create(NAME, smtp(closed_port()))
        await clarion.live_campaign(contents=[a_mail()])
        trigger = await clarion.trigger(3)
        campaign = campaign_pb2.Campaign(name=CAMPAIGN, contents=[an_email()])
        await clarion.campaigns.UpdateCampaign(campaign_service_pb2.UpdateCampaignRequest(campaign=campaign))
        await keeping.delete(NAME)
        with structlog.testing.capture_logs() as lines:
            await clarion.work(closed_port())
            await until(lambda: _logged(lines, "channel_not_configured"))
        await keeping.create(NAME, smtp(sink.port))
        assert (await clarion.finished(trigger.name)).counts.sent == 3
        assert len(to(sink)) == 3
    told = [line for line in lines if line["event"] == "channel_not_configured"]
    assert [(line["medium"], line["configuration"]) for line in told] == [("email", f"default/{NAME}")]


async def _logged(lines: list[Any], event: str) -> bool:
    return any(line["event"] == event for line in lines)


async def test_the_workers_own_holds_where_the_store_has_none(clarion: Clarion, keeping: Keeping) -> None:
    async with SmtpSink() as own, SmtpSink() as kept:
        await clarion.live_campaign()
        await clarion.work(own.port)
        sent = []
        for change in (None, keeping.create("email", smtp(kept.port)), keeping.delete("email")):
            if change:
                await change
            await keeping.test("email")
            await clarion.finished((await clarion.trigger()).name)
            sent.append((len(own.messages), len(kept.messages)))
        assert sent == [(1, 0), (1, 1), (2, 1)]


async def test_two_workspaces_of_one_name_each_have_their_own(clarion: Clarion, keeping: Keeping, store: Store) -> None:
    other = Keeping(clarion, "other")
    async with SmtpSink() as first, SmtpSink() as second:
        await keeping.create(NAME, smtp(first.port))
        await other.create(NAME, smtp(second.port))
        never = BreakerPolicy(in_a_row=1, pause_ms=600_000, pause_max_ms=600_000)
        await Breakers(store, channel=f"other/{NAME}", policy=never).report("main", Verdict(badly=1))
        await clarion.live_campaign(contents=[a_mail()])
        await clarion.work(closed_port())
        assert (await clarion.finished((await clarion.trigger(3)).name)).counts.sent == 3
        assert (len(first.messages), len(second.messages)) == (3, 0)


async def test_a_medium_that_gets_its_first_provider_is_served_without_a_restart(
    clarion: Clarion, keeping: Keeping, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("CLARION_SECRET_HOOKS", SECRET)
    await clarion.live_campaign(contents=[a_webhook()])
    await clarion.work(closed_port(), secrets_dir=tmp_path)
    async with Consumer(SECRET, context) as consumer:
        recipients = [a_recipient(addresses={"webhook": f"{consumer.origin}/takes/1"})]
        trigger = await clarion.trigger(recipients=recipients)
        hooks = {
            "ca_file": "ca.pem",
            "secrets": [{"env": "CLARION_SECRET_HOOKS"}],
            "egress": {"origins": [consumer.origin]},
        }
        await keeping.create("webhook", {"providers": [{"name": "hooks", "webhook": hooks}]}, channel="webhook")
        assert (await clarion.finished(trigger.name)).counts.sent == 1
        assert (len(consumer.called), consumer.unverified) == (1, 0)


async def test_a_test_tells_of_each_provider_in_the_order_of_the_settings(clarion: Clarion, keeping: Keeping) -> None:
    async with SmtpSink() as sink:
        settings = {
            "providers": [
                {"name": "zeta", "smtp": {"host": "127.0.0.1", "port": sink.port}},
                {"name": "alpha", "smtp": {"host": "127.0.0.1", "port": closed_port()}},
            ]
        }
        await keeping.create(NAME, settings)
        await clarion.work(sink.port)
        answer = await keeping.test(NAME)
        own = await keeping.test("email")
        assert sink.messages == []
    assert answer.worker.startswith("workers/")
    assert [(each.provider, each.kind, each.ok) for each in answer.findings] == [
        ("zeta", "smtp", True),
        ("alpha", "smtp", False),
    ]
    assert answer.findings[0].detail.startswith("connected in the clear")
    assert [(each.provider, each.kind, each.ok) for each in own.findings] == [("smtp", "smtp", True)]


async def test_a_test_tells_why_a_worker_cant_open_it(clarion: Clarion, keeping: Keeping) -> None:
    await keeping.create(NAME, smtp(1, username="clarion", password={"env": "CLARION_SECRET_GONE"}))
    await clarion.work(closed_port())
    [finding] = (await keeping.test(NAME)).findings
    assert not finding.ok
    assert finding.detail == (
        "this worker can't open it: providers[0].smtp.password.env: must be the name of an environment variable that "
        "is set"
    )


async def test_nobody_can_test_what_is_not_there(clarion: Clarion, keeping: Keeping) -> None:
    refused = await refusal_of(keeping.test("nothing"))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "CHANNEL_CONFIGURATION_NOT_FOUND")
    await clarion.work(closed_port())
    refused = await refusal_of(keeping.test("sms"))  # a worker might have it in its file
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "CHANNEL_CONFIGURATION_NOT_FOUND")


async def test_a_test_that_no_worker_takes_is_given_up(clarion: Clarion, keeping: Keeping, store: Store) -> None:
    await keeping.create(NAME, smtp(1))
    server = await clarion.serve(test_s=0.05)
    channel = await clarion.channel(server)
    clarion.configurations = type(clarion.configurations)(channel)
    refused = await refusal_of(Keeping(clarion).test(NAME))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "NO_WORKER")
    assert not await store.command("KEYS", "clarion:{control}:ct*"), "nobody takes it up later"


async def test_slow_providers_of_one_dont_hold_up_tests_of_others(clarion: Clarion, keeping: Keeping) -> None:
    async with SmtpSink() as sink, SmtpSink() as slow:
        slow.script("greeting", "hang")
        await keeping.create(NAME, smtp(sink.port))
        await keeping.create("slow-mail", smtp(slow.port, timeout_s=60))
        await clarion.work(sink.port)
        waiting = asyncio.create_task(keeping.test("slow-mail"))
        await slow.wait_for_connections(1)
        assert [each.ok for each in (await keeping.test(NAME)).findings] == [True]
        assert not waiting.done()
        waiting.cancel()


async def test_a_configuration_whose_provider_is_away_holds_up_no_other(
    clarion: Clarion, keeping: Keeping, store: Store
) -> None:
    away = BreakerPolicy(in_a_row=1, pause_ms=600_000, pause_max_ms=600_000)
    async with SmtpSink() as sink:
        await keeping.create(NAME, smtp(closed_port()))
        await Breakers(store, channel=f"default/{NAME}", policy=away).report("main", Verdict(badly=1))
        await clarion.live_campaign(contents=[a_mail()])
        await clarion.live_campaign("second")
        waiting = [(await clarion.trigger()).name for _ in range(6)]
        other = await clarion.trigger(campaign="campaigns/second")
        await clarion.work(sink.port, jobs=2)
        assert (await clarion.finished(other.name)).counts.sent == 1
        await keeping.update(NAME, smtp(sink.port, name="other"))
        assert [(await clarion.finished(name)).counts.sent for name in waiting] == [1] * 6


async def test_a_configuration_whose_provider_is_slow_holds_up_no_other(clarion: Clarion, keeping: Keeping) -> None:
    async with SmtpSink() as sink, SmtpSink() as slow:
        slow.script("greeting", "hang")
        await keeping.create(NAME, smtp(slow.port, timeout_s=60))
        await clarion.live_campaign(contents=[a_mail()])
        await clarion.live_campaign("second")
        await clarion.work(sink.port, jobs=2, window=16)
        waiting = [(await clarion.trigger(20)).name for _ in range(6)]
        await slow.wait_for_connections(1)
        for _ in range(3):
            other = await clarion.trigger(20, campaign="campaigns/second")
            assert (await clarion.finished(other.name)).counts.sent == 20
        await keeping.update(NAME, smtp(sink.port))
        slow.released.set()
        assert [(await clarion.finished(name)).counts.sent for name in waiting] == [20] * 6
