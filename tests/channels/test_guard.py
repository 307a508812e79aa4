"""What the guard of calls to strangers' addresses lets pass, by name, by address, and at the socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, overload

import aiohttp
import pytest

from clarion_core.configuration.egress import EgressPart, ProxyPart
from clarion_workers.channels.guard import Forbidden, Guard, LookUp, forbidden_by
from support.canary import Canary
from support.hostile_urls import ADDRESSES, ANSWERS, FORBIDDEN, NOT_UNDERSTOOD, PUBLIC_ANSWERS, UNDERSTOOD


def literal(address: str) -> str:
    return f"https://[{address}]/hook" if ":" in address else f"https://{address}/hook"


def answering(*answers: Sequence[str]) -> LookUp:
    """A name server that gives these answers, one after the other; the last one for ever."""
    left = list(answers)

    async def look_up(_host: str, _port: int) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return look_up


@asynccontextmanager
async def session(guard: Guard) -> AsyncIterator[aiohttp.ClientSession]:
    arguments = guard.session(tls=True, connections=10, idle_s=15.0)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20), **arguments) as opened:
        yield opened


@pytest.fixture
def guarded() -> Iterator[Callable[..., Guard]]:
    made: list[Guard] = []

    def make(look_up: LookUp | None = None, **egress: Any) -> Guard:
        made.append(Guard(EgressPart(**egress), look_up=look_up))
        return made[-1]

    yield make
    for guard in made:
        guard.close()


async def refused(guard: Guard, url: str) -> Forbidden:
    """The rule that stops a call, wherever it does."""
    async with session(guard) as opened:
        with pytest.raises((aiohttp.ClientConnectionError, Forbidden)) as error:
            await opened.post(url, allow_redirects=False)
    rule = forbidden_by(error.value)
    assert rule, error.value
    return rule


def test_there_are_more_than_two_hundred_hostile_cases() -> None:
    assert len(set(NOT_UNDERSTOOD)) + len(ADDRESSES) + len(FORBIDDEN) + len(ANSWERS) > 300


@pytest.mark.parametrize("url", NOT_UNDERSTOOD, ids=ascii)
def test_what_is_not_understood_is_not_called(guarded: Callable[..., Guard], url: str) -> None:
    with pytest.raises(Forbidden, match=r"^it (has|does) ") as error:
        guarded().admit(url)
    assert "127" not in str(error.value)
    assert "example" not in str(error.value)


@pytest.mark.parametrize(("url", "rule"), FORBIDDEN.items())
def test_what_is_understood_and_not_allowed_names_the_rule(guarded: Callable[..., Guard], url: str, rule: str) -> None:
    with pytest.raises(Forbidden) as error:
        guarded().admit(url)
    assert str(error.value) == rule


@pytest.mark.parametrize(("url", "normal"), UNDERSTOOD.items())
def test_an_ordinary_address_is_admitted_in_its_normal_form(
    guarded: Callable[..., Guard], url: str, normal: str
) -> None:
    assert guarded().admit(url).text == normal


@pytest.mark.parametrize(("address", "rule"), ADDRESSES.items())
def test_an_address_that_is_not_public_is_not_admitted(guarded: Callable[..., Guard], address: str, rule: str) -> None:
    with pytest.raises(Forbidden) as error:
        guarded().admit(literal(address))
    assert str(error.value) == f"an address that is not public ({rule})"


@pytest.mark.parametrize(("address", "rule"), ADDRESSES.items())
async def test_the_socket_refuses_it_too_whoever_forgot_to_ask(
    guarded: Callable[..., Guard], address: str, rule: str
) -> None:
    """Its resolver is not asked for literal addresses: this is the last look alone."""
    async with Canary() as canary:
        url = literal(address).replace("https:", "http:").replace("/hook", f":{canary.port}/hook")
        assert rule in str(await refused(guarded(), url))
        assert canary.connections == 0


@pytest.mark.parametrize(("answer", "rule"), ANSWERS.items(), ids=lambda each: str(each))
async def test_one_address_that_is_not_public_forbids_a_name(
    guarded: Callable[..., Guard], answer: Sequence[str], rule: str
) -> None:
    guard = guarded(answering(answer))
    url = guard.admit("https://hooks.example.com/hook")
    error = await refused(guard, url.text)
    assert str(error) == f"an address that is not public ({rule})"


@pytest.mark.parametrize("answer", PUBLIC_ANSWERS)
async def test_a_name_with_public_addresses_alone_is_resolved(
    guarded: Callable[..., Guard], answer: Sequence[str]
) -> None:
    assert await guarded(answering(answer)).addresses("hooks.example.com", 443) == answer


async def test_a_name_that_moves_inside_between_two_calls_is_refused(guarded: Callable[..., Guard]) -> None:
    async with Canary("127.0.0.1") as first, Canary("127.0.0.2", first.port) as inside:
        look_up = answering(["127.0.0.1"], ["127.0.0.2"])
        guard = guarded(look_up, networks=["127.0.0.1"], ports=[first.port], plain_http=True)
        url = guard.admit(f"http://hooks.example.com:{first.port}/hook").text
        async with session(guard) as opened, opened.post(url) as response:
            assert response.status == 200
        assert "loopback" in str(await refused(guard, url))
        assert (first.connections, inside.connections) == (1, 0)


class Turncoat(Sequence[str]):
    """An answer that is public while it is judged, and internal when it is read again."""

    def __init__(self) -> None:
        self._read = 0

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        return [self._now()][index]

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        self._read += 1
        yield self._now()

    def _now(self) -> str:
        return "8.8.8.8" if self._read <= 1 else "127.0.0.1"


async def test_what_changes_after_it_was_judged_is_refused_at_the_socket(guarded: Callable[..., Guard]) -> None:
    async with Canary() as canary:
        guard = guarded(answering(Turncoat()), ports=[canary.port], plain_http=True)
        url = guard.admit(f"http://hooks.example.com:{canary.port}/hook").text
        assert "loopback" in str(await refused(guard, url))
        assert canary.connections == 0


async def test_the_systems_resolver_is_asked_and_judged(guarded: Callable[..., Guard]) -> None:
    with pytest.raises(Forbidden, match="loopback"):
        await guarded().addresses("localhost", 443)
    with pytest.raises(OSError, match=r".+") as error:
        await guarded().addresses("hooks.invalid", 443)
    assert not forbidden_by(error.value)


async def test_an_allowed_network_is_called_and_its_neighbours_are_not(guarded: Callable[..., Guard]) -> None:
    async with Canary("127.0.0.1") as allowed, Canary("127.0.0.2", allowed.port) as neighbour:
        guard = guarded(networks=["127.0.0.1/32"], ports=[allowed.port], plain_http=True)
        async with session(guard) as opened:
            url = guard.admit(f"http://127.0.0.1:{allowed.port}/hook").text
            async with opened.post(url) as response:
                assert response.status == 200
        with pytest.raises(Forbidden, match="loopback"):
            guard.admit(f"http://127.0.0.2:{allowed.port}/hook")
        assert neighbour.connections == 0


async def test_an_own_origin_is_called_wherever_it_is_and_nothing_else_is(guarded: Callable[..., Guard]) -> None:
    async with Canary() as own:
        guard = guarded(answering(["127.0.0.1"]), origins=[f"http://hooks:{own.port}"])
        async with session(guard) as opened:
            url = guard.admit(f"http://hooks:{own.port}/hook").text
            async with opened.post(url) as response:
                assert response.status == 200
        for other in (f"https://hooks:{own.port}/", "http://hooks/", f"http://a.hooks:{own.port}/"):
            with pytest.raises(Forbidden):
                guard.admit(other)


async def test_a_strangers_name_for_an_own_address_is_refused(guarded: Callable[..., Guard]) -> None:
    async with Canary() as own:
        guard = guarded(
            answering(["127.0.0.1"]), origins=[f"http://hooks:{own.port}"], ports=[own.port], plain_http=True
        )
        url = guard.admit(f"http://stranger.example.com:{own.port}/").text
        assert "loopback" in str(await refused(guard, url))
        assert own.connections == 0


async def test_an_own_origin_is_vouched_for_in_the_task_that_asked_alone(guarded: Callable[..., Guard]) -> None:
    async with Canary() as own:
        guard = guarded(origins=[f"http://127.0.0.1:{own.port}"])
        url = f"http://127.0.0.1:{own.port}/hook"
        await asyncio.create_task(_admit(guard, url))
        assert "loopback" in str(await refused(guard, url))
        guard.admit(url)
        with pytest.raises(Forbidden):
            guard.admit("https://hooks.example.com:22/")
        assert "loopback" in str(await refused(guard, url))
        assert own.connections == 0


async def _admit(guard: Guard, url: str) -> None:
    guard.admit(url)


def test_what_is_denied_is_not_called_though_it_is_public_or_allowed(guarded: Callable[..., Guard]) -> None:
    guard = guarded(denied=["8.8.8.0/24", "10.1.0.0/16"], networks=["10.0.0.0/8"])
    guard.admit("https://10.2.0.1/")
    for url in ("https://8.8.8.8/", "https://10.1.0.1/", "https://[::ffff:8.8.8.8]/", "https://[64:ff9b::a01:1]/"):
        with pytest.raises(Forbidden, match="denied network"):
            guard.admit(url)


def test_what_carries_a_forbidden_address_is_forbidden_though_itself_is_allowed() -> None:
    allowed = EgressPart(networks=["2002::/16", "2001::/32"]).networks
    guard = Guard(EgressPart(networks=allowed))
    guard.admit("https://[2002:808:808::1]/")
    for address in ("2002:7f00:1::1", "2002:a9fe:a9fe::1", "2001:0:7f00:1:0:0:80ff:fffe"):
        with pytest.raises(Forbidden):
            guard.admit(literal(address))
    guard.close()


async def test_a_proxy_of_the_environment_is_not_used(
    guarded: Callable[..., Guard], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Canary() as wanted, Canary() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        guard = guarded(origins=[f"http://127.0.0.1:{wanted.port}"])
        url = guard.admit(f"http://127.0.0.1:{wanted.port}/").text
        async with session(guard) as opened, opened.post(url) as answer:
            assert answer.status == 200
        assert (wanted.connections, proxy.connections) == (1, 0)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_with_a_proxy_everything_goes_through_it_and_names_are_still_judged(scheme: str) -> None:
    async with Canary() as proxy, Canary() as inside:
        part = ProxyPart(url=f"http://127.0.0.1:{proxy.port}", username="clarion")
        guard = Guard(EgressPart(proxy=part, plain_http=True, ports=[80]), proxy_password="canary4711")
        url = guard.admit(f"{scheme}://hooks.example.com/hook").text
        async with session(guard) as opened:
            try:
                async with opened.post(
                    url, headers={"X-Of": "the endpoint"}, proxy_headers=guard.proxy_headers
                ) as answer:
                    assert (scheme, answer.status) == ("http", 200)
            except aiohttp.ClientConnectionError:  # the canary opens no tunnel for TLS
                assert scheme == "https"
        asked = {"http": b"POST http://hooks.example.com/hook", "https": b"CONNECT hooks.example.com:443"}[scheme]
        assert proxy.heads[0].startswith(asked + b" HTTP/1.1\r\n")
        assert b"\r\nProxy-Authorization: Basic Y2xhcmlvbjpjYW5hcnk0NzEx\r\n" in proxy.heads[0]
        assert (b"the endpoint" in proxy.heads[0]) == (scheme == "http")
        for url in (f"https://127.0.0.1:{inside.port}/", "https://127.0.0.1/", "https://a.internal/"):
            with pytest.raises(Forbidden):
                guard.admit(url)
        assert (proxy.connections, inside.connections) == (1, 0)
        guard.close()
