"""From one provider to another, through the ledger: what goes over, what does not, and what is recorded of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest

from clarion_core.domain.breaker import BreakerPolicy, BreakerState, Verdict
from clarion_core.domain.campaign import AmbiguityPolicy, Throttle
from clarion_core.domain.channel import ChannelConfiguration, Provider
from clarion_core.domain.delivery import Reason
from clarion_core.domain.recipient import Recipient
from clarion_core.store.breakers import Breakers
from clarion_core.store.records import encode_recipient
from clarion_workers.channels.email import EmailChannel, SmtpConfig
from clarion_workers.providers import Router
from support.breakers import let_pass
from support.post import Post, email_campaign
from support.records import Records
from support.smtp_sink import Features, SmtpSink

NAMES = ("one", "two")
POLICY = BreakerPolicy()
FAILED = Verdict(badly=POLICY.in_a_row)

APost = Callable[..., Post]


@pytest.fixture
async def sinks() -> AsyncIterator[list[SmtpSink]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(SmtpSink()) for _ in range(2)]


@pytest.fixture
async def over(records: Records, a_post: APost) -> AsyncIterator[Callable[..., Post]]:
    """Makes delivery steps that send over these sinks, the first one first."""
    routers: list[Router] = []

    def make(sinks: Sequence[SmtpSink], throttles: Sequence[Throttle | None] = (None, None), **options: Any) -> Post:
        providers = tuple(
            Provider(name=name, throttle=throttle) for name, throttle, _ in zip(NAMES, throttles, sinks, strict=False)
        )
        config = {"host": "127.0.0.1", "message_id_domain": "example.com", "timeout_s": 5.0}
        channels = {
            name: EmailChannel(SmtpConfig(port=sink.port, **config))  # type: ignore[arg-type]
            for name, sink in zip(NAMES, sinks, strict=False)
        }
        breakers = Breakers(records.store, channel="email")
        routers.append(Router(ChannelConfiguration(channel="email", providers=providers), channels, breakers))
        return a_post(router=routers[-1], **options)

    yield make
    for router in routers:
        await router.close()


async def run_once(records: Records, post: Post) -> None:
    """Run every job there is now, once."""
    for ref in await records.jobs():
        await post.run(ref)


def taken(sink: SmtpSink) -> Counter[str]:
    return Counter(message.message_id.partition("@")[0] for message in sink.messages)


async def state(records: Records, name: str = "one") -> BreakerState:
    return (await Breakers(records.store, channel="email").look([name]))[name].state


@pytest.mark.parametrize(
    ("stage", "action", "reason"),
    [
        ("greeting", "421 4.3.2 going down", None),
        ("greeting", "554 5.7.1 not you", None),
        ("ehlo", "451 4.3.0 later", None),
        ("mail", "451 4.3.1 disk full", None),
        ("mail", "530 5.7.0 authenticate first", None),
        ("rcpt", "451 4.3.0 lookup failed", None),
        ("data", "drop", None),
        ("dot", "451 4.7.0 later", None),
        ("dot", "421 4.7.0 enough", None),
        ("rcpt", "450 4.2.0 greylisted", Reason.RECIPIENT_DEFERRED),
        ("rcpt", "550 5.1.1 nobody", Reason.RECIPIENT_REFUSED),
        ("mail", "550 5.1.8 not from you", Reason.MESSAGE_REFUSED),
        ("dot", "554 5.6.0 not this", Reason.MESSAGE_REFUSED),
    ],
)
async def test_an_error_of_the_provider_goes_over_to_the_next_and_no_other_does(
    records: Records, sinks: list[SmtpSink], over: APost, stage: str, action: str, reason: Reason | None
) -> None:
    first, second = sinks
    first.script(stage, action)
    await email_campaign(records)
    trigger = await records.trigger(12)
    await run_once(records, over(sinks, window=24))
    found = await records.deliveries(trigger)
    if reason is None:
        assert {(each.state.value, each.provider, each.attempts) for each in found} == {("S", "two", 2)}
        assert set(taken(second).values()) == {1}
        assert await state(records) is BreakerState.OPEN
    else:
        assert {(each.reason, each.provider, each.attempts) for each in found} == {(reason, "one", 1)}
        assert (len(second.messages), await state(records)) == (0, BreakerState.CLOSED)
    assert first.messages == []


@pytest.mark.parametrize("policy", AmbiguityPolicy)
async def test_what_may_have_arrived_does_not_go_to_another_provider_at_once(
    records: Records, sinks: list[SmtpSink], over: APost, policy: AmbiguityPolicy
) -> None:
    first, second = sinks
    first.script("dot", "drop")
    await email_campaign(records, ambiguity_policy=policy)
    trigger = await records.trigger(12)
    await run_once(records, over(sinks, window=12))
    found = await records.deliveries(trigger)
    unsure = [each for each in found if each.ambiguous_attempts]
    assert {each.reason for each in unsure} == {Reason.HANDOVER_UNKNOWN}
    assert {each.provider for each in unsure} == {"one"}
    # Those of the next windows go elsewhere: a provider that answers nothing is out.
    assert {(each.state.value, each.provider) for each in found if not each.ambiguous_attempts} == {("S", "two")}
    assert not taken(first).keys() & taken(second).keys()


async def test_once_a_provider_is_out_the_others_attempts_are_not_spent_on_it(
    records: Records, sinks: list[SmtpSink], over: APost
) -> None:
    first, _ = sinks
    first.script("greeting", "421 4.3.2 going down")
    await email_campaign(records)
    trigger = await records.trigger(100)
    await run_once(records, over(sinks, window=20))
    assert Counter(each.attempts for each in await records.deliveries(trigger)) == {2: 10, 1: 90}
    assert await records.states(trigger) == "S" * 100


async def test_where_no_provider_may_be_used_no_attempt_is_spent_and_work_waits(
    records: Records, sinks: list[SmtpSink], over: APost
) -> None:
    for sink in sinks:
        sink.script("greeting", "421 4.3.2 going down")
    await email_campaign(records)
    trigger = await records.trigger(60)
    post = over(sinks, window=20)
    await run_once(records, post)
    found = await records.deliveries(trigger)
    assert Counter((each.state.value, each.attempts) for each in found) == {("R", 2): 10, ("Q", 0): 50}
    assert {each.reason for each in found if each.attempts} == {Reason.PROVIDER_DEFERRED}
    for sink in sinks:
        sink.heal()
    while "Q" in await records.states(trigger):
        await run_once(records, post)  # waits for the end of the pause, probes, and goes on
    assert Counter(await records.states(trigger))["S"] >= 50


async def test_a_provider_is_probed_with_one_message_while_the_others_go_elsewhere(
    records: Records, sinks: list[SmtpSink], over: APost
) -> None:
    first, second = sinks
    await Breakers(records.store, channel="email").report("one", FAILED)
    await let_pass(records.store, POLICY.pause_ms / 1000)
    first.script("mail", "451 still not")
    await email_campaign(records)
    trigger = await records.trigger(20)
    await run_once(records, over(sinks, window=40))
    assert (first.begun, len(taken(second))) == (1, 20)
    assert Counter(each.attempts for each in await records.deliveries(trigger)) == {1: 19, 2: 1}
    assert await state(records) is BreakerState.OPEN


async def test_a_provider_that_works_again_is_used_again(records: Records, sinks: list[SmtpSink], over: APost) -> None:
    first, second = sinks
    await Breakers(records.store, channel="email").report("one", FAILED)
    await let_pass(records.store, POLICY.pause_ms / 1000)
    await email_campaign(records)
    trigger = await records.trigger(20)
    await run_once(records, over(sinks, window=40))
    assert (len(taken(first)), len(taken(second))) == (20, 0)
    assert {each.provider for each in await records.deliveries(trigger)} == {"one"}


async def test_what_one_provider_cannot_carry_another_one_does_and_what_none_can_ends(
    records: Records, sinks: list[SmtpSink], over: APost
) -> None:
    await email_campaign(records)
    async with SmtpSink(Features(smtputf8=False)) as old, SmtpSink(Features(smtputf8=False)) as older:
        carried = await records.trigger(1, rows=[wide()])
        await run_once(records, over([old, sinks[0]]))
        ended = await records.trigger(1, rows=[wide()])
        await run_once(records, over([old, older]))
    assert await records.states(carried) == "S"
    [record] = await records.deliveries(ended)
    assert (record.state.value, record.reason, record.attempts) == ("F", Reason.PROVIDER_UNSUPPORTED, 2)


def wide() -> bytes:
    return encode_recipient(Recipient(user_id="u1", addresses={"email": "jürgen@bücher.example"}))


async def test_a_providers_limit_counts_for_the_messages_it_gets_and_no_others(
    records: Records, sinks: list[SmtpSink], over: APost
) -> None:
    first, second = sinks
    first.script("greeting", "421 4.3.2 going down")
    slow = Throttle(rate_per_s=0.001, burst=15)
    await email_campaign(records)
    trigger = await records.trigger(40)
    await run_once(records, over(sinks, throttles=(None, slow), window=40))
    assert len(second.messages) == 15
    assert Counter(await records.states(trigger)) == {"S": 15, "Q": 25}
    assert {each.attempts for each in (await records.deliveries(trigger)) if each.state.value == "Q"} <= {0, 1}


async def test_a_drain_that_cuts_the_report_off_loses_no_outcome(
    records: Records, sinks: list[SmtpSink], over: APost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was handed over was handed over, whatever the store is asked after it."""
    first, _ = sinks
    await email_campaign(records)
    trigger = await records.trigger(9)
    post = over(sinks, window=18)
    asked = asyncio.Event()

    async def hang(*_: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(post.router, "report", hang)
    job = post.start((await records.jobs())[0])
    await asked.wait()
    job.cancel()
    await asyncio.wait([job])
    assert await records.states(trigger) == "S" * 9
    assert set(taken(first).values()) == {1}


async def test_what_had_to_wait_for_permits_on_its_way_to_another_provider_goes_on_there(
    records: Records, sinks: list[SmtpSink], over: APost
) -> None:
    await email_campaign(records, throttle=Throttle(rate_per_s=5.0, burst=1))
    trigger = await records.trigger(1, rows=[wide()])
    async with SmtpSink(Features(smtputf8=False)) as old:
        post = over([old, sinks[0]])
        while (await records.states(trigger)) not in "SF":
            await run_once(records, post)
    [record] = await records.deliveries(trigger)
    assert (record.state.value, record.provider, record.attempts) == ("S", "two", 2)
