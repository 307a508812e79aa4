"""HTTP/2 as a client: what a server limits, refuses, breaks off and takes back."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme
from h2.errors import ErrorCodes
from hyperframe.frame import DataFrame, GoAwayFrame, PingFrame
from hypothesis import given
from hypothesis import strategies as st

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Ambiguous, Outcome, Sent, TransientFailure
from clarion_workers.channels.push import ApnsChannel, PushMessage
from clarion_workers.channels.push.goaway import GoAway, split
from support.peers.apns import ApnsPeer
from support.push.apns_server import HANGS, NO_WINDOW, TAKES, ApnsServer, device
from support.push.notifications import notification


@pytest.fixture
async def apple(server_tls: ssl.SSLContext, ca: trustme.CA) -> AsyncIterator[ApnsPeer]:
    async with ApnsServer(server_tls) as server:
        made = ApnsPeer(server, ca)
        yield made
        await made.close()


def messages(behaviour: str, *numbers: int) -> list[PushMessage]:
    return [notification(number, device(behaviour, number)) for number in numbers]


def kinds(outcomes: list[Outcome]) -> list[type]:
    return [type(outcome) for outcome in outcomes]


async def opened(apple: ApnsPeer, **changes: object) -> ApnsChannel:
    """A channel with one connection, on which more than one request may be made."""
    channel = apple.channel(**changes)
    channel._pool._most = 1
    assert kinds(await channel.send(messages(TAKES, 0))) == [Sent]
    return channel


async def test_one_connection_carries_many_at_once(apple: ApnsPeer) -> None:
    channel = await opened(apple)
    sending = asyncio.ensure_future(channel.send(messages(HANGS, *range(1, 41))))
    await apple.server.wait_for(41)
    apple.server.released.set()
    assert kinds(await sending) == [Sent] * 40
    assert apple.server.opened == 1


async def test_no_more_are_on_the_way_than_the_server_allows(apple: ApnsPeer) -> None:
    apple.server.after_token = 3
    channel = await opened(apple)
    sending = asyncio.ensure_future(channel.send(messages(HANGS, *range(1, 11))))
    await apple.server.wait_for(4)
    [connection] = apple.server.connections
    assert connection.h2.open_inbound_streams == 3
    apple.server.released.set()
    assert kinds(await sending) == [Sent] * 10
    assert apple.server.refused == []


async def test_a_server_that_allows_less_from_now_on_is_heard(apple: ApnsPeer) -> None:
    channel = await opened(apple)
    [connection] = apple.server.connections
    connection.settings(2)
    assert kinds(await channel.send(messages(TAKES, *range(1, 60)))) == [Sent] * 59


async def test_other_connections_are_opened_where_one_is_full(apple: ApnsPeer) -> None:
    apple.server.after_token = 2
    channel = apple.channel()
    sending = asyncio.ensure_future(channel.send(messages(HANGS, *range(9))))
    await apple.server.wait_for(4)
    assert apple.server.opened == 2
    apple.server.released.set()
    assert kinds(await sending) == [Sent] * 9
    assert apple.server.opened == 2


@pytest.mark.parametrize("window", [1, 100, 5_000])
async def test_bodies_go_in_pieces_through_a_small_window(
    server_tls: ssl.SSLContext, ca: trustme.CA, window: int
) -> None:
    class Narrow(ApnsServer):
        def begun(self, peer: object, number: int, headers: object) -> None:
            """The window is made wider by the first frame of each connection's requests, a piece at a time."""
            for _ in range(40):
                peer.allow(number, 100)  # type: ignore[attr-defined]

    async with Narrow(server_tls, window=window) as server:
        made = ApnsPeer(server, ca)
        sent = [notification(n, device(TAKES, n), body="x" * 3_500) for n in range(30)]
        assert kinds(await made.channel().send(sent)) == [Sent] * 30
        assert {len(text) for text in made.received_texts()} == {3_500}
        await made.close()


async def test_what_a_goaway_does_not_count_was_not_processed(apple: ApnsPeer) -> None:
    channel = await opened(apple)
    sending = asyncio.ensure_future(channel.send(messages(HANGS, 1, 2, 3)))
    await apple.server.wait_for(4)
    [connection] = apple.server.connections
    connection.go_away(last=5, words=b'{"reason":"Shutdown"}')  # 1 was the first message's, 3 and 5 come next
    after = asyncio.ensure_future(channel.send(messages(TAKES, 4)))
    assert kinds(await after) == [Sent]
    assert apple.server.opened == 2
    apple.server.released.set()
    first, second, third = await sending
    assert (type(first), type(second)) == (Sent, Sent)
    assert isinstance(third, TransientFailure)
    assert third.reason is Reason.PROVIDER_UNREACHABLE


async def test_a_lost_connection_leaves_open_what_was_sent_and_no_more(apple: ApnsPeer) -> None:
    channel = await opened(apple)
    [connection] = apple.server.connections
    sending = asyncio.ensure_future(channel.send(messages(HANGS, 1, 2)))
    await apple.server.wait_for(3)
    apple.server.window = 0
    heard = connection.acknowledged + 1
    connection.settings(100)  # no window for what comes
    await apple.server.wait_until(lambda: connection.acknowledged == heard)
    waiting = asyncio.ensure_future(channel.send(messages(NO_WINDOW, 3)))
    await apple.server.wait_until(lambda: len(connection.requests) == 4)
    connection.transport.abort()
    assert kinds(await sending) == [Ambiguous, Ambiguous]
    [outcome] = await waiting
    assert isinstance(outcome, TransientFailure)
    apple.server.window = 65_535
    assert kinds(await channel.send(messages(TAKES, 4))) == [Sent]


async def test_a_server_that_breaks_the_protocol_is_left(apple: ApnsPeer) -> None:
    channel = await opened(apple)
    sending = asyncio.ensure_future(channel.send(messages(HANGS, 1)))
    await apple.server.wait_for(2)
    [connection] = apple.server.connections
    connection.transport.write(b"\0\0\x01" + b"\0" * 7)
    assert kinds(await sending) == [Ambiguous]
    assert kinds(await channel.send(messages(TAKES, 2))) == [Sent]


async def test_a_frame_longer_than_we_take_is_not_waited_for(apple: ApnsPeer) -> None:
    channel = await opened(apple)
    sending = asyncio.ensure_future(channel.send(messages(HANGS, 1)))
    await apple.server.wait_for(2)
    [connection] = apple.server.connections
    connection.transport.write(b"\xff\xff\xff" + bytes(6))  # the head of one of 16 MiB, and nothing behind it
    assert kinds(await sending) == [Ambiguous]


async def test_a_request_that_is_given_up_is_reset_and_the_connection_asked(apple: ApnsPeer) -> None:
    channel = await opened(apple, timeout_s=1.0)
    assert kinds(await channel.send(messages(HANGS, 1))) == [Ambiguous]
    [connection] = apple.server.connections
    await apple.server.wait_until(lambda: connection.reset == [3])
    assert kinds(await channel.send(messages(TAKES, 2))) == [Sent]
    assert apple.server.opened == 1, "it answered the PING"


async def test_a_connection_that_is_dead_gets_no_request(apple: ApnsPeer) -> None:
    channel = await opened(apple, timeout_s=1.0)
    [connection] = channel._pool._connections
    connection._heard_s -= 60.0  # it was silent for a minute
    [dead] = apple.server.connections
    dead.transport.pause_reading()  # as a firewall that has forgotten it
    channel._pool._timeout_s = 5.0
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("clarion_workers.channels.push.pool.PING_S", 0.1)
        assert kinds(await channel.send(messages(TAKES, 1, 2))) == [Sent, Sent]
    assert apple.server.opened == 2
    assert [each.token for each in apple.server.notified] == [device(TAKES, n) for n in range(3)]


async def test_a_server_without_http_2_gets_nothing(server_tls: ssl.SSLContext, ca: trustme.CA) -> None:
    async with ApnsServer(server_tls) as server:
        server_tls.set_alpn_protocols(["http/1.1"])
        made = ApnsPeer(server, ca)
        context = made.trusting()
        [outcome] = await made.channel(tls=context).send(messages(TAKES, 1))
        assert isinstance(outcome, TransientFailure)
        assert outcome.reason is Reason.PROVIDER_UNREACHABLE
        assert server.notified == []
        await made.close()


async def test_who_waits_for_room_and_leaves_makes_nobody_wait_longer(apple: ApnsPeer) -> None:
    apple.server.after_token = 1
    channel = await opened(apple)
    holding = asyncio.ensure_future(channel.send(messages(HANGS, 1)))
    await apple.server.wait_for(2)
    leaving = [asyncio.ensure_future(channel.send(messages(TAKES, n))) for n in range(2, 6)]
    staying = asyncio.ensure_future(channel.send(messages(TAKES, 6)))
    for _ in range(10):  # nothing that they do takes more turns of the loop
        await asyncio.sleep(0)
    assert len(channel._pool._waiting) == 5
    apple.server.released.set()
    for each in leaving:
        each.cancel()
    assert kinds(await staying) == [Sent]
    assert kinds(await holding) == [Sent]
    await asyncio.gather(*leaving, return_exceptions=True)


@given(st.lists(st.sampled_from(["data", "ping", "goaway"]), max_size=12), st.data())
def test_frames_come_whole_and_in_order_however_they_are_cut(words: list[str], data: st.DataObject) -> None:
    frames = {
        "data": DataFrame(1, b"x" * 20).serialize(),
        "ping": PingFrame(0, b"12345678").serialize(),
        "goaway": GoAwayFrame(0, last_stream_id=7, error_code=ErrorCodes.NO_ERROR, additional_data=b"bye").serialize(),
    }
    sent = b"".join(frames[word] for word in words)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=8)))
    found, rest = list[bytes | GoAway](), b""
    for begin, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        whole, rest = split(rest + sent[begin:end])
        found += whole
    assert rest == b""
    away = GoAway(last_stream_id=7, error_code=ErrorCodes.NO_ERROR, words="bye")
    assert b"".join(frames["goaway"] if each == away else each for each in found if each) == sent  # type: ignore[misc]
    assert sum(each == away for each in found) == words.count("goaway")
