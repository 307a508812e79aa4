"""Connections to the store, with the retries it is safe to make: every function may be sent twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from clarion_core.store.promises import StoreMismatch

CONNECT_TIMEOUT_S = 2.0
REPLY_TIMEOUT_S = 10.0  # a disk that makes appendfsync wait longer is taken for a store that does not answer
BLOCKING_TIMEOUT_S = 5.0
_TRIES, _BACKOFF_S, _BACKOFF_MAX_S = 2, 0.02, 0.2


def connect(url: str) -> Redis:
    """A client for short commands. A connection found dead is replaced and the command sent again, twice at most.

    `StoreMismatch` for a URL with an option that there is not.
    """
    return _client(url, socket_timeout=REPLY_TIMEOUT_S, retry=_retry(), retry_on_error=[RedisConnectionError])


def connect_blocking(url: str) -> Redis:
    """A client for commands that wait at the server, for a second at most; no retries. `StoreMismatch` as `connect`.

    A connection that died without a word is noticed by the answer that does not come.
    """
    return _client(url, socket_timeout=BLOCKING_TIMEOUT_S, retry=Retry(ExponentialBackoff(), 0))


def _client(url: str, **options: Any) -> Redis:
    try:
        client = Redis.from_url(url, socket_connect_timeout=CONNECT_TIMEOUT_S, **options)
        pool = client.connection_pool
        pool.connection_class = _telling(pool.connection_class)
        pool.make_connection()  # where an option that there is not is found out
    except (ValueError, TypeError):
        raise StoreMismatch("CLARION_REDIS_URL: an option in it is unknown, or its value is none") from None
    return cast("Redis", client)


def _telling(connection: type[AbstractConnection]) -> type[AbstractConnection]:
    """A kind of connection that is lost for whoever writes to it, too.

    uvloop's transports raise RuntimeError once they are closed, which redis-py takes for no loss of the connection: it
    would neither be repeated nor be the store's being away, and end whoever did not expect it.
    """

    class Telling(connection):  # type: ignore[misc, valid-type]  # TCP, TLS or Unix, as the URL says
        async def _send_packed_command(self, command: Iterable[bytes]) -> None:
            try:
                await super()._send_packed_command(command)
            except RuntimeError as error:
                raise ConnectionResetError(str(error)) from error

    return Telling


def _retry() -> Retry:
    return Retry(ExponentialBackoff(cap=_BACKOFF_MAX_S, base=_BACKOFF_S), _TRIES)
