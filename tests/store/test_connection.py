"""A connection that is lost between two commands, on the event loop that the processes run on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from clarion_core.store.connection import connect, connect_blocking
from clarion_stack.redis import RedisServer


@pytest.mark.parametrize("connecting", [connect, connect_blocking])
def test_a_command_on_a_connection_that_was_lost_finds_it_lost(
    redis_server: RedisServer, connecting: Callable[[str], Redis]
) -> None:
    async def lose() -> None:
        client = connecting(redis_server.url)
        connection = client.connection_pool.make_connection()
        await connection.connect()
        transport = connection._writer.transport
        transport.abort()
        while transport.get_protocol() is not None:  # noqa: ASYNC110 - until the loop has closed it
            await asyncio.sleep(0)
        with pytest.raises(RedisConnectionError):
            await connection.send_command("PING")
        await connection.send_command("PING")
        assert await connection.read_response() == b"PONG"
        await connection.disconnect()
        await client.aclose()

    uvloop.run(lose())
