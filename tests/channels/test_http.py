"""What a broken call of a provider over HTTP means, and what never leaves: each against a server of raw bytes."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Ambiguous, Sent, TransientFailure
from clarion_workers.channels import CutOff
from support.emails import closed_port
from support.plain_http import LARGE, Open, hold, message, one, reason_of
from support.raw_server import OK, Connection, RawServer

HELLO = b"\x16\x03\x01"  # how a TLS handshake begins


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
        channel = open_plain(server.port, body=LARGE, timeout_s=1.0 if ending == "time is over" else 5)
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
        assert isinstance(await one(open_plain(server.port, timeout_s=1.0)), Ambiguous)


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
