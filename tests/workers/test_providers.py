"""Several providers as one channel: real servers that refuse, hang up, lack something or are not there at all."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from clarion_core.domain.breaker import BreakerPolicy, BreakerState, Verdict
from clarion_core.domain.channel import ChannelConfiguration, Provider, Routing
from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Ambiguous, Outcome, PermanentFailure, Sent, TransientFailure
from clarion_core.store.breakers import Breakers
from clarion_core.store.connection import connect
from clarion_core.store.store import Store
from clarion_stack.redis import RedisServer
from clarion_workers.channels.email import EmailChannel, EmailMessage, SmtpConfig
from clarion_workers.providers import KNOWN_S, NoRoute, Route, Router
from support.breakers import let_pass
from support.smtp_sink import Features, SmtpSink

NAMES = ("one", "two")
POLICY = BreakerPolicy()
QUICK = BreakerPolicy(pause_ms=1, pause_max_ms=1, look_ms=1)  # a pause that nobody has to wait for

FAILED = Verdict(badly=POLICY.in_a_row)

MakeRouter = Callable[..., Router[EmailMessage]]


def email(number: int = 0, to: str = "") -> EmailMessage:
    return EmailMessage(
        delivery_id=f"00j4k-{number}",
        sender="Shop <orders@example.com>",
        to_address=to or f"ada{number}@example.com",
        subject=f"Your order {number}",
        text="Thank you.\n",
        date_s=1_795_507_200,
    )


def emails(count: int, to: str = "") -> list[EmailMessage]:
    return [email(number, to.format(number)) for number in range(count)]


@contextmanager
def nobody() -> Iterator[int]:
    """A port at which nobody answers, kept from others."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


@pytest.fixture
async def sinks() -> AsyncIterator[list[SmtpSink]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(SmtpSink()) for _ in range(2)]


@pytest.fixture
def breakers(store: Store) -> Breakers:
    return Breakers(store, channel="email")


@pytest.fixture
async def a_router(store: Store) -> AsyncIterator[MakeRouter]:
    """Makes routers, each as another worker's, to servers at these ports."""
    made: list[Router[EmailMessage]] = []

    def make(
        ports: Sequence[int],
        *,
        weights: Sequence[int] = (1, 1),
        routing: Routing = Routing.ORDER,
        policy: BreakerPolicy | None = None,
        on: Store = store,
        **options: Any,
    ) -> Router[EmailMessage]:
        providers = tuple(
            Provider(name=name, weight=weight) for name, weight, _ in zip(NAMES, weights, ports, strict=False)
        )
        channels = {
            provider.name: EmailChannel(
                SmtpConfig(host="127.0.0.1", port=port, message_id_domain="example.com", timeout_s=5.0, connections=4)
            )
            for provider, port in zip(providers, ports, strict=True)
        }
        made.append(
            Router(
                ChannelConfiguration(channel="email", providers=providers, routing=routing),
                channels,
                Breakers(on, channel="email", policy=policy),
                **options,
            )
        )
        return made[-1]

    yield make
    for router in made:
        await router.close()


def kinds(outcomes: Sequence[Outcome]) -> set[type]:
    return {type(outcome) for outcome in outcomes}


def taken(sink: SmtpSink) -> Counter[str]:
    return Counter(message.message_id.partition("@")[0] for message in sink.messages)


def ports(*sinks: SmtpSink) -> list[int]:
    return [sink.port for sink in sinks]


async def route(router: Router[EmailMessage], tried: frozenset[str] = frozenset()) -> Route:
    chosen = await router.choose(tried)
    assert isinstance(chosen, Route)
    return chosen


async def state(store: Store, name: str = "one") -> BreakerState:
    return (await Breakers(store, channel="email").look([name]))[name].state


async def test_in_order_the_first_provider_gets_everything(sinks: list[SmtpSink], a_router: MakeRouter) -> None:
    assert kinds(await a_router(ports(*sinks)).send(emails(30))) == {Sent}
    assert [len(sink.messages) for sink in sinks] == [30, 0]


async def test_by_weight_each_provider_gets_its_share(sinks: list[SmtpSink], a_router: MakeRouter) -> None:
    draws = iter([number / 40 for number in range(40)])
    router = a_router(ports(*sinks), routing=Routing.WEIGHT, weights=(3, 1), draw=lambda: next(draws))
    for number in range(40):
        assert kinds(await router.send([email(number)])) == {Sent}
    assert [len(sink.messages) for sink in sinks] == [30, 10]


async def test_what_a_provider_that_is_away_would_have_got_another_one_gets_at_once(
    sinks: list[SmtpSink], a_router: MakeRouter, store: Store
) -> None:
    with nobody() as port:
        router = a_router([port, sinks[0].port])
        assert kinds(await router.send(emails(30))) == {Sent}
        assert await state(store) is BreakerState.OPEN
        assert (await route(router)).provider.name == "two"
    assert set(taken(sinks[0]).values()) == {1}
    assert len(taken(sinks[0])) == 30


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
    stage: str, action: str, reason: Reason | None, sinks: list[SmtpSink], a_router: MakeRouter, store: Store
) -> None:
    first, second = sinks
    first.script(stage, action)
    outcomes = await a_router(ports(*sinks)).send(emails(12))
    if reason is None:
        assert kinds(outcomes) == {Sent}
        assert set(taken(second).values()) == {1}
        assert (len(taken(second)), await state(store)) == (12, BreakerState.OPEN)
    else:
        assert {getattr(outcome, "reason", None) for outcome in outcomes} == {reason}
        assert (len(second.messages), await state(store)) == (0, BreakerState.CLOSED)
    assert first.messages == []


async def test_what_may_have_arrived_never_goes_to_another_provider(
    sinks: list[SmtpSink], a_router: MakeRouter, store: Store
) -> None:
    first, second = sinks
    first.script("dot", "drop")
    router = a_router(ports(*sinks))
    assert kinds(await router.send(emails(6))) == {Ambiguous}
    assert second.messages == []
    # Those that come after it do: a provider that answers nothing is out.
    assert await state(store) is BreakerState.OPEN
    assert kinds(await router.send([email(number) for number in range(6, 12)])) == {Sent}
    assert len(taken(first)) == len(taken(second)) == 6
    assert not taken(first).keys() & taken(second).keys()


async def test_what_one_provider_cannot_carry_another_one_does(sinks: list[SmtpSink], a_router: MakeRouter) -> None:
    async with SmtpSink(Features(smtputf8=False)) as old:
        router = a_router(ports(old, sinks[0]))
        assert kinds(await router.send([email(1, "jürgen@bücher.example")])) == {Sent}
        assert (await route(router)).provider.name == "one"
    assert len(sinks[0].messages) == 1


async def test_what_no_provider_can_carry_ends_and_what_one_might_waits_for_it(
    a_router: MakeRouter, breakers: Breakers
) -> None:
    async with SmtpSink(Features(smtputf8=False)) as one, SmtpSink(Features(smtputf8=False)) as two:
        wide = [email(1, "jürgen@bücher.example")]
        [ended] = await a_router(ports(one, two)).send(wide)
        await breakers.report("two", FAILED)
        [waits] = await a_router(ports(one, two)).send(wide)
    assert isinstance(ended, PermanentFailure)
    assert isinstance(waits, TransientFailure)
    assert ended.reason is waits.reason is Reason.PROVIDER_UNSUPPORTED
    assert 0 < (waits.retry_after_s or 0) <= POLICY.pause_ms / 1000


async def test_where_no_provider_may_be_used_nothing_is_handed_over_and_it_is_told_until_when(
    sinks: list[SmtpSink], a_router: MakeRouter, breakers: Breakers
) -> None:
    until = [(await breakers.report(name, FAILED)).until_ms for name in ("one", "two")]
    router = a_router(ports(*sinks))
    chosen = await router.choose()
    assert isinstance(chosen, NoRoute)
    assert chosen.until_ms == min(until)
    assert 0 < chosen.wait_s <= POLICY.pause_ms / 1000
    outcomes = await router.send(emails(3))
    assert {getattr(outcome, "reason", None) for outcome in outcomes} == {Reason.PROVIDER_UNREACHABLE}
    assert kinds(outcomes) == {TransientFailure}
    assert [sink.connections for sink in sinks] == [0, 0]


async def test_a_provider_that_was_tried_is_not_chosen_again(sinks: list[SmtpSink], a_router: MakeRouter) -> None:
    router = a_router(ports(*sinks))
    assert (await route(router, frozenset({"one"}))).provider.name == "two"
    assert await router.choose(frozenset({"one", "two"})) == NoRoute()


async def test_a_provider_is_probed_with_one_message_while_the_others_go_elsewhere(
    sinks: list[SmtpSink], a_router: MakeRouter, breakers: Breakers, store: Store
) -> None:
    first, second = sinks
    await breakers.report("one", FAILED)
    await let_pass(store, POLICY.pause_ms / 1000)
    first.script("mail", "451 still not")
    assert kinds(await a_router(ports(*sinks)).send(emails(20))) == {Sent}
    assert (first.begun, len(taken(second))) == (1, 20)
    assert await state(store) is BreakerState.OPEN


async def test_a_provider_that_works_again_gets_its_messages_back(
    sinks: list[SmtpSink], a_router: MakeRouter, store: Store
) -> None:
    first, second = sinks
    first.script("greeting", "421 4.3.2 going down")
    router = a_router(ports(*sinks), policy=QUICK)
    number = 0
    while await state(store) is BreakerState.CLOSED:
        assert kinds(await router.send([email(number)])) == {Sent}
        number += 1
    first.heal()
    while await state(store) is not BreakerState.CLOSED:
        assert kinds(await router.send([email(number)])) == {Sent}
        number += 1
    before = len(second.messages)
    assert kinds(await router.send([email(number + more) for more in range(20)])) == {Sent}
    assert (len(first.messages), len(second.messages)) == (21, before)
    assert set((taken(first) + taken(second)).values()) == {1}


async def test_a_route_chosen_before_is_the_first_one_taken(sinks: list[SmtpSink], a_router: MakeRouter) -> None:
    router = a_router(ports(*sinks))
    second = await route(router, frozenset({"one"}))
    assert kinds(await router.send(emails(3), second)) == {Sent}
    assert [len(sink.messages) for sink in sinks] == [0, 3]


async def test_a_probe_that_was_not_used_is_given_back(
    sinks: list[SmtpSink], a_router: MakeRouter, breakers: Breakers, store: Store
) -> None:
    await breakers.report("one", FAILED)
    await let_pass(store, POLICY.pause_ms / 1000)
    router = a_router(ports(*sinks))
    probing = await route(router)
    assert (probing.provider.name, probing.takes(9), bool(probing.probe)) == ("one", 1, True)
    assert (await route(a_router(ports(*sinks)))).provider.name == "two"
    await router.report(probing, [])
    assert (await route(router)).probe


async def test_a_cancelled_hand_over_says_nothing_of_the_provider(
    sinks: list[SmtpSink], a_router: MakeRouter, store: Store
) -> None:
    router = a_router(ports(*sinks))
    sending = asyncio.create_task(router.send(emails(6, "dot-hang+{}@example.com")))
    await sinks[0].wait_for(1)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert await state(store) is BreakerState.CLOSED
    assert (await route(router)).provider.name == "one"


async def test_on_the_good_path_the_store_is_asked_once_in_half_a_second(
    sinks: list[SmtpSink], a_router: MakeRouter, breakers: Breakers, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    call = store.call

    async def counting(name: str, *arguments: Any, **request: Any) -> Any:
        asked.append(name)
        return await call(name, *arguments, **request)

    monkeypatch.setattr(store, "call", counting)
    router = a_router(ports(*sinks))
    started = time.monotonic()
    for _ in range(200):
        await router.report(await route(router), [Sent(), PermanentFailure(reason=Reason.RECIPIENT_REFUSED)])
    assert 1 <= len(asked) <= 1 + (time.monotonic() - started) / KNOWN_S


async def test_what_went_well_is_told_with_the_next_failure(
    sinks: list[SmtpSink], a_router: MakeRouter, store: Store
) -> None:
    router = a_router(ports(*sinks))
    first = await route(router)
    await router.report(first, [Sent()] * 20)
    await router.report(first, [TransientFailure(reason=Reason.PROVIDER_DEFERRED)] * 19)
    assert await state(store) is BreakerState.CLOSED
    await router.report(first, [TransientFailure(reason=Reason.PROVIDER_DEFERRED)])
    assert await state(store) is BreakerState.OPEN


async def test_while_the_store_is_away_messages_go_out_and_failures_are_told_later(
    sinks: list[SmtpSink], a_router: MakeRouter, tmp_path: Path
) -> None:
    server = RedisServer(tmp_path)
    store = Store(connect(server.url))
    sinks[0].script("greeting", "421 4.3.2 going down")
    router = a_router(ports(*sinks), on=store)
    assert kinds(await router.send(emails(6))) == {Sent}
    server.start()
    try:
        while await state(store) is BreakerState.CLOSED:  # once what is known is old, the next question tells
            await router.choose()
        assert (await route(router)).provider.name == "two"
    finally:
        await store.close()
        server.stop()


async def test_closing_says_goodbye_to_every_provider(sinks: list[SmtpSink], a_router: MakeRouter) -> None:
    router = a_router(ports(*sinks))
    await router.send(emails(3))
    await router.send(emails(3), await route(router, frozenset({"one"})))
    await router.close()
    for sink in sinks:
        await sink.wait_until_hanging_up()
        assert sink.quits == sink.connections > 0
