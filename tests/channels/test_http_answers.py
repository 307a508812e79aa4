"""Connections that are kept, answers that are read and headers that are written, of providers over HTTP."""

from __future__ import annotations

import pytest
import structlog

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Ambiguous, PermanentFailure, Sent
from clarion_workers.channels.http import ANSWER_MAX, Request, retry_after_s
from support.plain_http import LARGE, Open, message, one
from support.raw_server import OK, Connection, RawServer

# What is asked, and what is taken from an answer.


async def test_a_small_request_is_one_packet_and_waits_for_nothing(open_plain: Open) -> None:
    got: list[bytes] = []

    async def script(connection: Connection) -> None:
        got.append(await connection.reader.read(65_536))
        await connection.say(OK)

    async with RawServer(script) as server:
        channel = open_plain(server.port, body=b'{"to": 1}', headers={"Content-Type": "application/json"})
        assert isinstance(await one(channel), Sent)
    [request] = got
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().lower().split("\r\n")
    assert (first, body) == ("post /messages http/1.1", b'{"to": 1}')
    headers = dict(line.split(": ", 1) for line in lines)
    assert headers == {
        "host": f"127.0.0.1:{server.port}",
        "accept": "*/*",
        "accept-encoding": "identity",
        "user-agent": "clarion",
        "content-type": "application/json",
        "content-length": "9",
    }


async def test_connections_are_kept_and_no_more_than_allowed(open_plain: Open) -> None:
    async with RawServer(Connection.serve) as server:
        channel = open_plain(server.port, connections=3)
        for _ in range(4):
            outcomes = await channel.send([message(number) for number in range(25)])
            assert all(isinstance(outcome, Sent) for outcome in outcomes)
        assert (server.connections, len(server.requests)) == (3, 100)


async def test_of_an_answer_that_is_too_long_the_beginning_is_read(open_plain: Open) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 200 OK\r\nContent-Length: 16000000\r\n\r\n" + LARGE)

    async with RawServer(script) as server:
        channel = open_plain(server.port)
        for number in (1, 2):
            assert isinstance(await one(channel), Sent)
            assert server.connections == number  # what was left unread is never read for another answer
        assert [answer.body for answer in channel.answers] == [LARGE[:ANSWER_MAX]] * 2
        assert channel.answers[0].json() is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(open_plain: Open, status: int) -> None:
    async with RawServer(Connection.serve) as elsewhere:
        answer = (
            f"HTTP/1.1 {status} Elsewhere\r\nLocation: http://127.0.0.1:{elsewhere.port}/\r\nContent-Length: 0\r\n\r\n"
        )

        async def script(connection: Connection) -> None:
            await connection.serve(answer.encode())

        async with RawServer(script) as server:
            assert await one(open_plain(server.port)) == Sent(detail=f"{status} ")
        assert elsewhere.connections == 0


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nX-Evil: 1", "a\rX-Evil: 1", "a\x00b"])
async def test_a_header_can_t_smuggle_another_one(open_plain: Open, value: str) -> None:
    async with RawServer(Connection.serve) as server:
        channel = open_plain(server.port)
        for headers in ({"Idempotency-Key": value}, {value: "a"}):
            channel.asked = Request(url=channel.asked.url, body=b"{}", headers=headers)
            with structlog.testing.capture_logs() as lines:
                outcome = await one(channel)
            assert isinstance(outcome, PermanentFailure)
            assert outcome.reason is Reason.INTERNAL
            assert [line["event"] for line in lines] == ["message_not_sent"]
        assert server.requests == []
        channel.asked = Request(url=channel.asked.url, body=b"{}", headers={})
        assert isinstance(await one(channel), Sent)


async def test_an_address_can_t_smuggle_a_header(open_plain: Open) -> None:
    async with RawServer(Connection.serve) as server:
        url = f"http://127.0.0.1:{server.port}/a b\r\nX-Evil: 1?text=ü&to=+49 1\r\nX-Evil: 2"
        await one(open_plain(server.port, url=url))
        assert not [line for line in b"".join(server.requests).split(b"\r\n") if line.startswith(b"X-Evil")]
        assert b" " not in server.requests[0].partition(b" ")[2].partition(b" HTTP/1.1\r\n")[0]


async def test_an_address_that_is_none_is_no_fault_of_the_provider(open_plain: Open) -> None:
    for url in ("http://", "nonsense", "ftp://127.0.0.1/", "http://[::1"):
        outcome = await one(open_plain(1, url=url))
        assert isinstance(outcome, PermanentFailure), url
        assert outcome.reason is Reason.INTERNAL


async def test_an_answer_that_can_t_be_understood_is_ambiguous(open_plain: Open) -> None:
    async with RawServer(Connection.serve) as server:
        channel = open_plain(server.port)
        channel.outcome = lambda message, answer: 1 / 0  # type: ignore[method-assign,assignment,return-value]
        assert isinstance(await one(channel), Ambiguous)


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("7", 7.0),
        (" 120 ", 120.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 40.0),
        ("Thu, 01 Jan 1970 00:00:10 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("٧", None),
        ("1" * 400, 111111111.0),
        ("Thu, 99 Jan 1970", None),
    ],
)
def test_how_long_to_wait_is_read_in_both_forms(value: str, wait_s: float | None) -> None:
    assert retry_after_s(value, 60.0) == wait_s
