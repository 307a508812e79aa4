"""What a broken call of a provider over HTTP means, and what never leaves: each against a server of raw bytes."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import structlog
import trustme

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Ambiguous, Outcome, PermanentFailure, Sent, TransientFailure
from clarion_workers.channels import CutOff
from clarion_workers.channels.http import ANSWER_MAX, Answer, HttpChannel, Request, retry_after_s
from clarion_workers.channels.sms.message import SmsMessage
from support.emails import closed_port
from support.raw_server import OK, Connection, RawServer

HELLO = b"\x16\x03\x01"  # how a TLS handshake begins
LARGE = b"0" * 16_000_000


class Plain(HttpChannel[SmsMessage]):
    """A channel that asks for one thing and takes every answer for a yes."""

    name = "plain"

    def __init__(self, asked: Request, **changes: Any) -> None:
        super().__init__(**{"connections": 4, "timeout_s": 5.0} | changes)
        self.asked = asked
        self.answers: list[Answer] = []

    async def request(self, message: SmsMessage) -> Request:
        return self.asked

    def outcome(self, message: SmsMessage, answer: Answer) -> Outcome:
        self.answers.append(answer)
        return Sent(detail=f"{answer.status} {answer.body[:100].decode()}")


Open = Callable[..., Plain]


@pytest.fixture
async def open_plain() -> AsyncIterator[Open]:
    channels: list[Plain] = []

    def make(port: int, scheme: str = "http", tls: ssl.SSLContext | None = None, **changes: Any) -> Plain:
        limits = {name: changes.pop(name) for name in ("connections", "timeout_s") if name in changes}
        request = {"url": f"{scheme}://127.0.0.1:{port}/messages", "body": b"{}", "headers": {}} | changes
        channels.append(Plain(Request(**request), tls=tls, **limits))
        return channels[-1]

    yield make
    for channel in channels:
        await channel.close()


@pytest.fixture
def client_tls(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return context


def message(number: int = 1) -> SmsMessage:
    return SmsMessage(delivery_id=f"00j4k-{number}", sender="Shop", to_number="+4915112345678", text="Thank you.")


async def one(channel: Plain) -> Outcome:
    [outcome] = await channel.send([message()])
    return outcome


def reason_of(outcome: Outcome) -> Reason:
    assert isinstance(outcome, TransientFailure), outcome
    return outcome.reason


async def hold(connection: Connection) -> None:
    """Take the request, and never answer."""
    await connection.request()
    await connection.until_closed()


# What was certainly not handed over.


async def test_a_port_where_nobody_is_is_transient(open_plain: Open) -> None:
    assert reason_of(await one(open_plain(closed_port()))) is Reason.PROVIDER_UNREACHABLE


async def test_a_name_that_nobody_knows_is_transient(open_plain: Open) -> None:
    assert reason_of(await one(open_plain(1, url="http://nobody.invalid/"))) is Reason.PROVIDER_UNREACHABLE


async def test_a_server_that_takes_no_connections_is_transient(open_plain: Open) -> None:
    with socket.socket() as server, socket.socket() as first, socket.socket() as second:
        server.bind(("127.0.0.1", 0))
        server.listen(0)  # the kernel takes one, and answers no other
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        channel = open_plain(server.getsockname()[1], timeout_s=0.2)
        assert reason_of(await one(channel)) is Reason.PROVIDER_UNREACHABLE


async def test_a_server_without_tls_gets_no_message(open_plain: Open) -> None:
    got: list[bytes] = []

    async def script(connection: Connection) -> None:
        got.append(await connection.reader.read(65_536))
        await connection.say(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    async with RawServer(script) as server:
        assert reason_of(await one(open_plain(server.port, "https"))) is Reason.PROVIDER_CREDENTIALS
    assert [each[:3] for each in got] == [HELLO]


async def test_a_certificate_of_another_name_gets_no_message(
    open_plain: Open, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with RawServer(hold, server_tls) as server:
        channel = open_plain(server.port, tls=client_tls, url=f"https://localhost:{server.port}/")
        assert reason_of(await one(channel)) is Reason.PROVIDER_CREDENTIALS
        assert server.requests == []


async def test_a_connection_closed_in_its_handshake_is_transient(open_plain: Open, client_tls: ssl.SSLContext) -> None:
    async def script(connection: Connection) -> None:
        await connection.reader.readexactly(3)

    async with RawServer(script) as server:
        channel = open_plain(server.port, "https", client_tls)
        assert reason_of(await one(channel)) is Reason.PROVIDER_UNREACHABLE


async def test_a_handshake_that_hangs_is_transient(open_plain: Open, client_tls: ssl.SSLContext) -> None:
    async with RawServer(Connection.until_closed) as server:
        channel = open_plain(server.port, "https", client_tls, timeout_s=0.2)
        assert reason_of(await one(channel)) is Reason.PROVIDER_UNREACHABLE


async def test_a_call_cut_off_in_the_handshake_has_handed_nothing_over(
    open_plain: Open, client_tls: ssl.SSLContext
) -> None:
    began = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.reader.readexactly(3)
        began.set()
        await connection.until_closed()

    async with RawServer(script) as server:
        call = asyncio.create_task(open_plain(server.port, "https", client_tls).send([message()]))
        await began.wait()
        call.cancel()
        with pytest.raises(CutOff) as cut:
            await call
        assert cut.value.outcomes == [None]


async def test_a_connection_that_the_server_closed_is_not_used_again(open_plain: Open) -> None:
    seen = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.say(OK)
        connection.writer.write_eof()
        await connection.until_closed()
        seen.set()

    async with RawServer(script) as server:
        channel = open_plain(server.port)
        assert isinstance(await one(channel), Sent)
        await seen.wait()
        assert isinstance(await one(channel), Sent)
        assert server.connections == 2


async def test_what_a_connection_said_unasked_is_no_answer(open_plain: Open) -> None:
    idle, said = asyncio.Event(), asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.say(OK)
        if not said.is_set():
            await idle.wait()
            await connection.say(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 5\r\n\r\nstale")
            said.set()
        await connection.serve()

    async with RawServer(script) as server:
        channel, other = open_plain(server.port), open_plain(server.port)
        assert isinstance(await one(channel), Sent)
        idle.set()
        await said.wait()
        await one(other)  # a whole exchange: what was said before has been heard
        assert reason_of(await one(channel)) is Reason.PROVIDER_UNREACHABLE
        assert await one(channel) == Sent(detail="200 ok")
        assert len(server.requests) == 3


@pytest.mark.parametrize("ending", ["time is over", "cut off"])
async def test_what_has_not_left_whole_is_taken_back(open_plain: Open, ending: str) -> None:
    began, go_on, read = asyncio.Event(), asyncio.Event(), 0

    async def script(connection: Connection) -> None:
        nonlocal read
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined]  # what comes stays with the sender
        began.set()
        await go_on.wait()
        connection.writer.transport.resume_reading()  # type: ignore[attr-defined]
        while more := await connection.reader.read(65_536):
            read += len(more)

    async with RawServer(script) as server:
        channel = open_plain(server.port, body=LARGE, timeout_s=0.3 if ending == "time is over" else 5)
        call = asyncio.create_task(channel.send([message()]))
        await began.wait()
        if ending == "cut off":
            call.cancel()
            with pytest.raises(CutOff) as cut:
                await call
            assert cut.value.outcomes == [None]
        else:
            [outcome] = await call
            assert reason_of(outcome) is Reason.PROVIDER_UNREACHABLE
        go_on.set()
    assert read < len(LARGE)


# What may have been handed over.


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("method", ["POST", "PUT", "GET"])
async def test_a_connection_closed_after_the_request_is_ambiguous_and_not_tried_again(
    open_plain: Open, method: str, kept: bool
) -> None:
    async def script(connection: Connection) -> None:
        for _ in range(kept):
            await connection.request()
            await connection.say(OK)
        await connection.request()

    async with RawServer(script) as server:
        channel = open_plain(server.port, method=method, connections=1)
        for _ in range(kept):
            assert isinstance(await one(channel), Sent)
        assert isinstance(await one(channel), Ambiguous)
        assert (server.connections, len(server.requests)) == (1, 1 + kept)


async def test_a_connection_closed_right_after_it_was_made_is_never_a_refusal(open_plain: Open) -> None:
    async def script(connection: Connection) -> None:
        connection.writer.transport.abort()

    async with RawServer(script) as server:
        outcomes = await open_plain(server.port).send([message(number) for number in range(50)])
        assert {type(outcome) for outcome in outcomes} <= {TransientFailure, Ambiguous}
        assert server.connections == 50


@pytest.mark.parametrize(
    "half",
    [
        b"HTTP/1.1 20",
        b"HTTP/1.1 201 Created\r\nContent-Le",
        b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n",
        b'HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"sid": "SM0',
        b'HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"sid',
    ],
)
async def test_half_an_answer_is_ambiguous(open_plain: Open, half: bytes) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.say(half)

    async with RawServer(script) as server:
        assert isinstance(await one(open_plain(server.port)), Ambiguous)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"])
async def test_an_answer_that_does_not_come_in_time_is_ambiguous(open_plain: Open, said: bytes) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.say(said)
        await connection.until_closed()

    async with RawServer(script) as server:
        assert isinstance(await one(open_plain(server.port, timeout_s=0.2)), Ambiguous)


@pytest.mark.parametrize(
    "answer", [b"220 mx ESMTP\r\n", b"HTTP/1.1 OK\r\n\r\n", b"\x00" * 100, b"HTTP/1.1 200 OK\r\nA\r\n\r\n"]
)
async def test_an_answer_that_is_none_is_ambiguous(open_plain: Open, answer: bytes) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.say(answer)

    async with RawServer(script) as server:
        assert isinstance(await one(open_plain(server.port)), Ambiguous)


async def test_a_call_cut_off_after_its_request_is_ambiguous(open_plain: Open) -> None:
    async with RawServer(hold) as server:
        call = asyncio.create_task(open_plain(server.port).send([message()]))
        await server.wait_for(1)
        call.cancel()
        with pytest.raises(CutOff) as cut:
            await call
        assert [type(outcome) for outcome in cut.value.outcomes] == [Ambiguous]


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
