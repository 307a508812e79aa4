"""What the store's own errors mean to everybody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import (
    BusyLoadingError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from clarion_core.domain.errors import StoreFull, StoreUnavailable

# Error codes of a server that is there and can't serve now: failing disk, too few replicas, fail-over, a long script.
_UNAVAILABLE = ("BUSY", "MISCONF", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "LOADING", "UNKILLABLE")


@contextmanager
def translated() -> Iterator[None]:
    """Turn the client library's errors into `StoreUnavailable` or `StoreFull`; a wrong command stays what it is."""
    try:
        yield
    except (RedisConnectionError, RedisTimeoutError, BusyLoadingError, ReadOnlyError, OSError) as error:
        raise StoreUnavailable from error
    except OutOfMemoryError as error:
        raise StoreFull(0, 0) from error
    except ResponseError as error:
        if str(error).startswith(_UNAVAILABLE):
            raise StoreUnavailable from error
        raise
