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
from clarion_core.domain.outcome import Outcome, PermanentFailure, Sent, TransientFailure
from clarion_core.store.breakers import Breakers
from clarion_core.store.connection import connect
from clarion_core.store.store import Store
from clarion_stack.redis import RedisServer
from clarion_workers.channels.email import EmailChannel, EmailMessage, SmtpConfig
from clarion_workers.providers import KNOWN_S, NoRoute, Route, Router
from support.breakers import let_pass
from support.smtp_sink import SmtpSink

NAMES = ("one", "two")
POLICY = BreakerPolicy()
QUICK = BreakerPolicy(pause_ms=1, pause_max_ms=1, look_ms=1)  # a pause that nobody has to wait for

FAILED = Verdict(badly=POLICY.in_a_row)

MakeRouter = Callable[..., Router]


def email(number: int = 0, to: str = "") -> EmailMessage:
    return EmailMessage(
        delivery_id=f"00j4k-{number}",
        sender="Shop <orders@example.com>",
        to_address=to or f"ada{number}@example.com",
        subject=f"Your order {number}",
        text=b"Thank you.\n",
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
    made: list[Router] = []

    def make(
        ports: Sequence[int],
        *,
        weights: Sequence[int] = (1, 1),
        routing: Routing = Routing.ORDER,
        policy: BreakerPolicy | None = None,
        on: Store = store,
        **options: Any,
    ) -> Router:
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


async def route(router: Router, tried: frozenset[str] = frozenset()) -> Route:
    chosen = await router.choose(tried)
    assert isinstance(chosen, Route)
    return chosen


async def send(router: Router, messages: Sequence[EmailMessage]) -> list[Outcome]:
    """Hand these over to whichever provider the router chooses."""
    return await router.hand_over(await route(router), messages)


async def state(store: Store, name: str = "one") -> BreakerState:
    return (await Breakers(store, channel="email").look([name]))[name].state


async def test_in_order_the_first_provider_gets_everything(sinks: list[SmtpSink], a_router: MakeRouter) -> None:
    assert kinds(await send(a_router(ports(*sinks)), emails(30))) == {Sent}
    assert [len(sink.messages) for sink in sinks] == [30, 0]


async def test_by_weight_each_provider_gets_its_share(sinks: list[SmtpSink], a_router: MakeRouter) -> None:
    draws = iter([number / 40 for number in range(40)])
    router = a_router(ports(*sinks), routing=Routing.WEIGHT, weights=(3, 1), draw=lambda: next(draws))
    for number in range(40):
        assert kinds(await send(router, [email(number)])) == {Sent}
    assert [len(sink.messages) for sink in sinks] == [30, 10]


async def test_where_no_provider_may_be_used_nothing_is_handed_over_and_it_is_told_until_when(
    sinks: list[SmtpSink], a_router: MakeRouter, breakers: Breakers
) -> None:
    until = [(await breakers.report(name, FAILED)).until_ms for name in ("one", "two")]
    router = a_router(ports(*sinks))
    chosen = await router.choose()
    assert isinstance(chosen, NoRoute)
    assert chosen.until_ms == min(until)
    assert 0 < chosen.wait_s <= POLICY.pause_ms / 1000
    assert [sink.connections for sink in sinks] == [0, 0]


async def test_a_provider_that_was_tried_is_not_chosen_again(sinks: list[SmtpSink], a_router: MakeRouter) -> None:
    router = a_router(ports(*sinks))
    assert (await route(router, frozenset({"one"}))).provider.name == "two"
    assert await router.choose(frozenset({"one", "two"})) == NoRoute()


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
    sending = asyncio.create_task(send(router, emails(6, "dot-hang+{}@example.com")))
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


async def test_while_the_store_is_away_failures_are_told_later(
    sinks: list[SmtpSink], a_router: MakeRouter, tmp_path: Path
) -> None:
    server = RedisServer(tmp_path)
    store = Store(connect(server.url))
    sinks[0].script("greeting", "421 4.3.2 going down")
    router = a_router(ports(*sinks), on=store)
    assert kinds(await send(router, emails(6))) == {TransientFailure}
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
    await send(router, emails(3))
    await router.hand_over(await route(router, frozenset({"one"})), emails(3))
    await router.close()
    for sink in sinks:
        await sink.wait_until_hanging_up()
        assert sink.quits == sink.connections > 0
