"""Throttles, accounts and recounts in the store."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest

from clarion_core.domain.campaign import Action
from clarion_core.domain.errors import (
    CampaignNotFound,
    ChannelConfigurationNotFound,
    ProviderNotFound,
    ThrottleNotFound,
)
from clarion_core.domain.worker import Subject, Throttle, ThrottleKind
from clarion_core.store.campaigns import RequestKey
from clarion_core.store.configurations import Configurations
from clarion_core.store.keys import CONTROL, key
from clarion_core.store.overview import accounts
from clarion_core.store.workers import WorkerStore
from support.configurations import Kept
from support.records import Records

EMAIL = Subject(kind=ThrottleKind.CHANNEL, id="email")
WELCOME = Subject(kind=ThrottleKind.CAMPAIGN, id="welcome", workspace="default")
MAIN = Subject(kind=ThrottleKind.PROVIDER, id="main", within="sms")
ORDERS = Subject(kind=ThrottleKind.CONFIGURATION, id="orders-sms", workspace="default")
ORDERS_MAIN = Subject(kind=ThrottleKind.PROVIDER, id="main", within="orders-sms", workspace="default")


@pytest.fixture
def workers(records: Records) -> WorkerStore:
    return WorkerStore(records.store, 1, ("transactional", "marketing"))


def a_request() -> RequestKey:
    return RequestKey(id=str(uuid.uuid4()), fingerprint="")


async def test_a_throttle_is_kept_as_a_rate_and_a_burst(records: Records, workers: WorkerStore) -> None:
    await records.campaign()
    for subject, rate, burst in ((EMAIL, 50.0, 50), (WELCOME, 0.1, 1), (MAIN, 1e6, 10)):
        assert not await workers.set_throttle(Throttle(subject=subject, rate_per_s=rate, burst=burst), a_request())
    assert await records.store.command("HGETALL", key(CONTROL, "throttles")) == {
        b"channel:email": b"50.0 50",
        b"campaign:default/welcome": b"0.1 1",
        b"provider:sms/main": b"1000000.0 10",
    }
    assert [throttle.subject for throttle in await workers.throttles()] == [WELCOME, EMAIL, MAIN]
    assert [subject.name for subject in (WELCOME, EMAIL, MAIN)] == [
        "campaigns/welcome", "channels/email", "channels/sms/providers/main",
    ]  # fmt: skip
    first, last = await workers.throttle_page("", 2)
    second, end = await workers.throttle_page(last, 2)
    assert [throttle.subject for throttle in first + second] == [WELCOME, EMAIL, MAIN]
    assert end == ""


async def test_a_throttle_holds_until_it_is_cleared(workers: WorkerStore) -> None:
    throttle = Throttle(subject=EMAIL, rate_per_s=2.5, burst=3)
    await workers.set_throttle(throttle, a_request())
    assert await workers.throttle(EMAIL) == throttle
    await workers.set_throttle(replace(throttle, burst=4), a_request())
    assert await workers.throttle(EMAIL) == replace(throttle, burst=4)
    assert not await workers.clear_throttle(EMAIL, a_request())
    assert await workers.throttle(EMAIL) is None
    with pytest.raises(ThrottleNotFound, match="channels/email"):
        await workers.clear_throttle(EMAIL, a_request())


async def test_a_campaigns_throttle_goes_with_its_campaign(records: Records, workers: WorkerStore) -> None:
    throttle = Throttle(subject=WELCOME, rate_per_s=1.0, burst=1)
    with pytest.raises(CampaignNotFound, match="campaigns/welcome"):
        await workers.set_throttle(throttle, a_request())
    campaign = await records.campaign()
    await workers.set_throttle(throttle, a_request())
    await records.act(Action.STOP)
    slot = await records.campaigns.read("default", "welcome")
    assert slot.campaign
    await records.campaigns.delete(slot.campaign, a_request())
    assert campaign.key == "default/welcome"
    assert await workers.throttle(WELCOME) is None


@pytest.mark.parametrize("subject", [EMAIL, WELCOME, MAIN, ORDERS, ORDERS_MAIN])
def test_a_limits_name_says_whom_it_is_for(subject: Subject) -> None:
    assert Subject.of_limit(subject.limit) == subject


async def test_a_throttle_on_a_configuration_needs_it_and_its_provider(records: Records, workers: WorkerStore) -> None:
    at_once = Throttle(subject=ORDERS, rate_per_s=1.0, burst=1)
    for subject, error in ((ORDERS, ChannelConfigurationNotFound), (ORDERS_MAIN, ProviderNotFound)):
        with pytest.raises(error, match=subject.name):
            await workers.set_throttle(replace(at_once, subject=subject), a_request())
    kept = Kept(Configurations(records.store))
    await kept.put("orders-sms", {"providers": [{"name": "spare"}, {"name": "main"}]})
    for subject in (ORDERS, ORDERS_MAIN):
        await workers.set_throttle(replace(at_once, subject=subject), a_request())
    for stranger in (replace(ORDERS_MAIN, id="mai"), replace(ORDERS_MAIN, workspace="other")):
        with pytest.raises(ProviderNotFound, match=stranger.name):
            await workers.set_throttle(replace(at_once, subject=stranger), a_request())
    assert [throttle.subject for throttle in await workers.throttles()] == [ORDERS, ORDERS_MAIN]


async def test_a_configurations_throttles_go_with_it_and_no_others(records: Records, workers: WorkerStore) -> None:
    kept = Kept(Configurations(records.store))
    for name in ("orders-sms", "orders-sms-two"):
        await kept.put(name, {"providers": [{"name": "main"}]})
    others = (MAIN, replace(ORDERS, id="orders-sms-two"), replace(ORDERS_MAIN, within="orders-sms-two"))
    for subject in (ORDERS, ORDERS_MAIN, *others):
        await workers.set_throttle(Throttle(subject=subject, rate_per_s=1.0, burst=1), a_request())
    await kept.delete("orders-sms")
    assert {throttle.subject for throttle in await workers.throttles()} == set(others)


async def test_a_repeated_throttle_on_a_provider_that_has_gone_is_answered_as_before(
    records: Records, workers: WorkerStore
) -> None:
    kept, request = Kept(Configurations(records.store)), a_request()
    throttle = Throttle(subject=ORDERS_MAIN, rate_per_s=1.0, burst=1)
    await kept.put("orders-sms", {"providers": [{"name": "main"}]})
    assert not await workers.set_throttle(throttle, request)
    await kept.put("orders-sms", {"providers": [{"name": "other"}]})
    assert await workers.set_throttle(throttle, request)
    assert not await workers.clear_throttle(ORDERS_MAIN, a_request()), "what is set can be cleared, whatever is there"


async def test_all_accounts_are_found_and_those_of_removed_campaigns_too(records: Records) -> None:
    assert await accounts(records.store, 1) == {}
    await records.campaign()
    await records.campaign("never-triggered")
    await records.trigger(3)
    found = await accounts(records.store, 1)
    assert found == {"default/welcome": await records.campaigns.counts("default/welcome")}
    for campaign_id in ("welcome", "never-triggered"):
        await records.act(Action.STOP, campaign_id)
        slot = await records.campaigns.read("default", campaign_id)
        assert slot.campaign
        await records.campaigns.delete(slot.campaign, a_request())
    assert (await accounts(records.store, 1)).keys() == {"default/welcome"}
    assert await records.store.command("SMEMBERS", key(0, "accounts")) == {b"default/welcome"}


async def test_recounts_are_added_up_over_all_workers(records: Records) -> None:
    assert await records.upkeep.recounts() == (0, 0)
    await records.upkeep.note_recounts(0, 0)
    await records.upkeep.note_recounts(20, 0)
    await records.upkeep.note_recounts(19, 1)
    assert await records.upkeep.recounts() == (39, 1)
