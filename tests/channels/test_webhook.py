"""What the webhook channel does beyond the conformance suite: answers, bounds, and strangers' tricks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import structlog

from clarion_core.configuration.webhook import WebhookPart
from clarion_core.domain.breaker import BADLY, NOTHING, WELL, verdict
from clarion_core.domain.delivery import Reason
from clarion_core.domain.error_class import ErrorClass
from clarion_core.domain.outcome import AddressFact, Ambiguous, Outcome, PermanentFailure, Sent, TransientFailure
from clarion_core.domain.routing import fails_over
from clarion_core.domain.suppression import fact_of
from clarion_workers.channels.guard import Guard
from clarion_workers.channels.webhook import WebhookChannel
from clarion_workers.channels.webhook.endpoints import Endpoints
from clarion_workers.channels.webhook.signing import Signers
from support.canary import Canary
from support.emails import closed_port
from support.hostile_urls import ANSWERS, FORBIDDEN, NOT_UNDERSTOOD
from support.webhooks.calls import ENVIRONMENT, SECRET, call, opened
from support.webhooks.consumer import Consumer

Open = Callable[..., WebhookChannel]


@pytest.fixture
async def consumer() -> AsyncIterator[Consumer]:
    async with Consumer(SECRET) as running:
        yield running


@pytest.fixture
async def channel(consumer: Consumer) -> AsyncIterator[Open]:
    made: list[WebhookChannel] = []

    def make(**settings: Any) -> WebhookChannel:
        made.append(opened(**{"egress": {"origins": [consumer.origin]}} | settings))
        return made[-1]

    yield make
    consumer.released.set()
    for each in made:
        await each.close()


async def outcome_of(channel: WebhookChannel, url: str, **changes: Any) -> Outcome:
    [outcome] = await channel.send([call(7, url, **changes)])
    return outcome


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        *((status, TransientFailure, Reason.RECIPIENT_DEFERRED) for status in (300, 301, 302, 303, 304, 307, 308)),
        *((status, TransientFailure, Reason.RECIPIENT_DEFERRED) for status in (400, 401, 403, 404, 405, 408, 409, 422)),
        *((status, TransientFailure, Reason.RECIPIENT_DEFERRED) for status in (429, 500, 501, 503, 505, 599)),
        (410, PermanentFailure, Reason.ENDPOINT_GONE),
        (413, PermanentFailure, Reason.MESSAGE_REFUSED),
        (415, PermanentFailure, Reason.MESSAGE_REFUSED),
    ],
)
async def test_a_status_has_one_meaning_and_its_answer_is_not_shown(
    consumer: Consumer, channel: Open, status: int, kind: type[Outcome], reason: Reason
) -> None:
    consumer.statuses["x"] = status, {"Location": "https://127.0.0.1:1/", "Retry-After": "7"}
    outcome = await outcome_of(channel(), f"{consumer.origin}/x/")
    assert isinstance(outcome, kind)
    assert isinstance(outcome, TransientFailure | PermanentFailure)
    assert outcome.reason is reason
    assert outcome.detail.partition(":")[0] == f"answered {status}"
    assert "nobody" not in outcome.detail
    assert getattr(outcome, "retry_after_s", 7.0) == 7.0


@pytest.mark.parametrize("status", [502, 504])
async def test_what_a_gateway_heard_nothing_of_may_have_arrived(consumer: Consumer, channel: Open, status: int) -> None:
    consumer.statuses["x"] = status, {}
    outcome = await outcome_of(channel(), f"{consumer.origin}/x/")
    assert outcome == Ambiguous(detail=f"answered {status}", silent=ErrorClass.RECIPIENT)


async def test_an_endpoint_that_is_gone_is_suppressed_and_one_that_may_not_be_called_is_not(
    consumer: Consumer, channel: Open
) -> None:
    consumer.statuses["x"] = 410, {}
    one = channel()
    assert fact_of(await outcome_of(one, f"{consumer.origin}/x/")) is AddressFact.ENDPOINT_GONE
    assert fact_of(await outcome_of(one, "https://10.0.0.1/")) is None


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 299])
async def test_every_2xx_is_a_success(consumer: Consumer, channel: Open, status: int) -> None:
    consumer.statuses["x"] = status, {}
    assert await outcome_of(channel(), f"{consumer.origin}/x/") == Sent(detail=f"answered {status}")


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [("0", 0.0), ("3600", 3600.0), ("999999999", 86_400.0), ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400.0), ("x", None)],
)
async def test_how_long_to_wait_is_heard_and_no_endpoint_asks_for_more_than_a_day(
    consumer: Consumer, channel: Open, value: str, wait_s: float | None
) -> None:
    consumer.statuses["x"] = 503, {"Retry-After": value}
    outcome = await outcome_of(channel(), f"{consumer.origin}/x/")
    assert isinstance(outcome, TransientFailure)
    assert outcome.retry_after_s == wait_s


async def test_a_call_is_what_the_specification_says(consumer: Consumer, channel: Open) -> None:
    one = channel()
    for _ in range(2):
        await outcome_of(one, f"{consumer.origin}/a/%2Fb?c=%20d&e", text="ü")
    first, second = consumer.called
    assert (first.id, second.id) == ("00j4k-7", "00j4k-7")
    assert first.path == "/a/%2Fb?c=%20d&e"
    assert first.headers["Content-Type"] == "application/json"
    assert first.headers["User-Agent"] == "Clarion"
    assert first.body == '{"type": "order.shipped", "text": "ü"}'.encode()
    assert not {"Cookie", "Authorization", "Proxy-Authorization"} & set(first.headers)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_to_where_nobody_may_go(
    consumer: Consumer, channel: Open, status: int
) -> None:
    async with Canary() as inside:
        consumer.statuses["x"] = status, {"Location": f"http://127.0.0.1:{inside.port}/"}
        outcome = await outcome_of(channel(), f"{consumer.origin}/x/")
        assert outcome == TransientFailure(
            reason=Reason.RECIPIENT_DEFERRED, detail=f"answered {status}: redirects are not followed"
        )
        assert inside.connections == 0


@pytest.mark.parametrize("url", [*NOT_UNDERSTOOD, *FORBIDDEN], ids=ascii)
async def test_what_may_not_be_called_is_an_outcome_and_ends_there(channel: Open, url: str) -> None:
    outcome = await outcome_of(channel(), url)
    assert isinstance(outcome, PermanentFailure)
    assert outcome.reason is Reason.ENDPOINT_FORBIDDEN
    assert outcome.detail.startswith("may not be called: ")


@pytest.mark.parametrize(("answer", "rule"), ANSWERS.items(), ids=str)
async def test_a_name_that_leads_inside_is_an_outcome_and_no_address_is_told(
    answer: tuple[str, ...], rule: str
) -> None:
    async def look_up(_host: str, _port: int) -> tuple[str, ...]:
        return answer

    part = WebhookPart.model_validate({"secrets": [{"env": "SECRET"}]})
    one = WebhookChannel(
        part, guard=Guard(part.egress, look_up=look_up), signers=Signers(part, lambda each: each.read(ENVIRONMENT))
    )
    outcome = await outcome_of(one, "https://hooks.example.com/")
    assert outcome == PermanentFailure(
        reason=Reason.ENDPOINT_FORBIDDEN, detail=f"may not be called: an address that is not public ({rule})"
    )
    await one.close()


async def test_a_name_that_is_none_is_tried_again(channel: Open) -> None:
    outcome = await outcome_of(channel(), "https://hooks.invalid/")
    assert outcome == TransientFailure(
        reason=Reason.RECIPIENT_DEFERRED, detail="no connection: ClientConnectorDNSError"
    )


async def test_an_endpoint_without_a_secret_is_not_called(consumer: Consumer, channel: Open) -> None:
    known = [{"url": "https://a.example/", "secrets": [{"env": "SECRET"}]}]
    outcome = await outcome_of(channel(secrets=[], endpoints=known), f"{consumer.origin}/a/")
    assert outcome == PermanentFailure(
        reason=Reason.ENDPOINT_FORBIDDEN,
        detail="may not be called: the channel configuration has no secret for it",
    )
    assert consumer.called == []


async def test_a_document_is_not_larger_than_it_may_be(consumer: Consumer, channel: Open) -> None:
    one = channel(max_bytes=1_024)
    assert isinstance(await outcome_of(one, f"{consumer.origin}/a/", body=b'"' + 1_022 * b"x" + b'"'), Sent)
    outcome = await outcome_of(one, f"{consumer.origin}/a/", body=b'"' + 1_023 * b"x" + b'"')
    assert outcome == PermanentFailure(
        reason=Reason.MESSAGE_REFUSED, detail="the document has 1025 bytes, which is more than 1024"
    )


@pytest.mark.parametrize("name", ["drip", "flood"])
async def test_what_follows_the_status_changes_nothing(consumer: Consumer, channel: Open, name: str) -> None:
    one = channel(timeout_s=1.0)
    assert await outcome_of(one, f"{consumer.origin}/{name}/") == Sent(detail="answered 200")
    assert isinstance(await outcome_of(one, f"{consumer.origin}/a/"), Sent)


async def test_calls_at_one_endpoint_are_bounded_and_others_go_on(consumer: Consumer, channel: Open) -> None:
    async with Consumer(SECRET) as slow:
        one = channel(endpoint_connections=3, connections=4, egress={"origins": [consumer.origin, slow.origin]})
        waiting = asyncio.create_task(one.send([call(n, f"{slow.origin}/hang/") for n in range(10)]))
        await slow.wait_for(3)
        outcomes = await one.send([call(100 + n, f"{consumer.origin}/a/") for n in range(20)])
        assert all(isinstance(outcome, Sent) for outcome in outcomes)
        assert (len(slow.called), slow.at_once_max) == (3, 3)
        slow.released.set()
        assert all(isinstance(outcome, Sent) for outcome in await waiting)
        assert slow.at_once_max == 3


async def test_who_waits_too_long_for_a_slow_endpoint_was_not_called(consumer: Consumer, channel: Open) -> None:
    one = channel()
    one._endpoints = endpoints = Endpoints(1, wait_s=0.05)
    waiting = asyncio.create_task(one.send([call(1, f"{consumer.origin}/hang/")]))
    await consumer.wait_for(1)
    [outcome] = await one.send([call(2, f"{consumer.origin}/a/")])
    assert outcome == TransientFailure(
        reason=Reason.RECIPIENT_DEFERRED, detail="not called: as many calls as may be are under way at its host"
    )
    consumer.released.set()
    assert [type(each) for each in await waiting] == [Sent]
    assert [each.id for each in consumer.called] == ["00j4k-1"]
    assert not endpoints.known  # nothing is kept of an endpoint that nobody calls


async def test_no_endpoint_opens_the_breaker_for_all(consumer: Consumer, channel: Open) -> None:
    closed = closed_port()
    origins = [consumer.origin, *(f"http://127.0.0.1:{port}" for port in (closed, consumer.closing_port))]
    consumer.statuses |= {"gone": (410, {}), "down": (503, {}), "limit": (429, {})}
    urls = [f"{consumer.origin}/{name}/" for name in ("gone", "down", "limit", "drop", "hang")]
    urls += [f"{origin}/a/" for origin in origins[1:]] + ["https://10.0.0.1/", "https://localhost/", "x"]
    outcomes = await channel(timeout_s=1.0, egress={"origins": origins}).send(
        [call(n, url) for n, url in enumerate(urls)]
    )
    assert not any(map(fails_over, outcomes))
    assert BADLY not in map(verdict, outcomes)
    assert {verdict(outcome) for outcome in outcomes} == {WELL, NOTHING}


async def test_nothing_of_an_endpoint_is_logged_but_that_it_failed(consumer: Consumer, channel: Open) -> None:
    consumer.statuses["gone"] = 410, {}
    with structlog.testing.capture_logs() as lines:
        one = channel(timeout_s=1.0)
        for name in ("gone", "drop", "hang", "a"):
            await outcome_of(one, f"{consumer.origin}/{name}/secret-path?token=canary4711")
        await outcome_of(one, "https://canary4711@hooks.example.com/")
    assert {line["event"] for line in lines} == {"endpoint_not_called"}
    assert {line["log_level"] for line in lines} == {"info"}
    assert not [word for word in ("canary4711", "secret-path", "127.0.0.1", "whsec_", "example") if word in repr(lines)]


class Proxy(Canary):
    """A proxy that opens no tunnel, and says why."""

    def __init__(self, answer: str) -> None:
        super().__init__()
        self.answer = f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (
            "407 Who?\r\nProxy-Authenticate: Basic",
            TransientFailure(reason=Reason.PROVIDER_CREDENTIALS, detail="the proxy answered 407"),
        ),
        ("407 No", PermanentFailure(reason=Reason.ENDPOINT_FORBIDDEN, detail="the proxy answered 407")),
        ("403 No", PermanentFailure(reason=Reason.ENDPOINT_FORBIDDEN, detail="the proxy answered 403")),
        ("502 x", TransientFailure(reason=Reason.RECIPIENT_DEFERRED, detail="the proxy answered 502")),
        ("504 x", TransientFailure(reason=Reason.RECIPIENT_DEFERRED, detail="the proxy answered 504")),
        ("500 x", TransientFailure(reason=Reason.PROVIDER_DEFERRED, detail="the proxy answered 500")),
    ],
)
async def test_what_a_proxy_answers_is_its_own_or_the_endpoints(channel: Open, answer: str, outcome: Outcome) -> None:
    async with Proxy(answer) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        one = channel(egress={"proxy": {"url": url, "username": "clarion", "password": {"env": "PROXY"}}})
        assert await outcome_of(one, "https://hooks.example.com/") == outcome
        [head] = proxy.heads
        assert head.startswith(b"CONNECT hooks.example.com:443 HTTP/1.1\r\n")
        assert b"\r\nProxy-Authorization: Basic Y2xhcmlvbjpjYW5hcnk0NzEx\r\n" in head
        assert b"webhook-" not in head


async def test_a_proxy_that_is_away_is_our_own_trouble(channel: Open) -> None:
    one = channel(egress={"proxy": {"url": f"http://127.0.0.1:{closed_port()}"}})
    outcome = await outcome_of(one, "https://hooks.example.com/")
    assert isinstance(outcome, TransientFailure)
    assert outcome.reason is Reason.PROVIDER_UNREACHABLE
    assert verdict(outcome) == BADLY
