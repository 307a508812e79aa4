"""Ids: lower case base32 (Crockford's alphabet), made before the first try of whatever they name.

A trigger's id and a delivery's tell the shard their records are in. A delivery's id is `base-number`: its page is
number // 100 of the base's pages, and the base's last letter tells its medium.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from clarion_core.domain.medium import MEDIUM_OF, Medium

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford, base32.org: no i, l, o, u
_PAIRS = [high + low for high in ALPHABET for low in ALPHABET]
_DELIVERY = re.compile(rf"[{ALPHABET}]{{20,40}}-(0|[1-9][0-9]{{0,5}})")
_SHARD_CHARS, _HASH_CHARS, _TIME_CHARS, _RANDOM_CHARS = 2, 25, 9, 10


def base32(number: int, chars: int) -> str:
    """The lowest `chars` x 5 bits of a number."""
    pairs = "".join([_PAIRS[(number >> shift) & 1023] for shift in range(10 * ((chars - 1) // 2), -1, -10)])
    return pairs[-chars:]


def derived_trigger_id(
    workspace: str, campaign_id: str, request_id: str, shards: int, *, shard: int | None = None
) -> str:
    """The trigger id of a request id: the same for the same request, so that its record is found by key alone.

    In the shard that the request id says, or the given one: triggers of an ordering key are together.
    """
    digest = hashlib.sha256(f"{workspace}\0{campaign_id}\0{request_id}".encode()).digest()
    if shard is None:
        shard = int.from_bytes(digest[16:20]) % shards
    return base32(shard, _SHARD_CHARS) + base32(int.from_bytes(digest[:16]), _HASH_CHARS)


def random_trigger_id(shards: int, random_bits: Callable[[int], int], *, shard: int | None = None) -> str:
    """A trigger id for a call without a request id, in any shard or the given one."""
    bits = random_bits(128 + 16)
    if shard is None:
        shard = (bits >> 128) % shards
    return base32(shard, _SHARD_CHARS) + base32(bits, _HASH_CHARS)


def ordering_shard(workspace: str, ordering_key: str, shards: int) -> int:
    """Where everything of an ordering key lives."""
    return int.from_bytes(hashlib.sha256(f"{workspace}\0{ordering_key}".encode()).digest()[:4]) % shards


def ordering_line(workspace: str, ordering_key: str, user_id: str, place: str) -> str:
    """The line in which an ordering key's deliveries to one recipient stand.

    Each channel has its own, and on push each device: `place` tells them apart.
    """
    digest = hashlib.sha256(f"{workspace}\0{ordering_key}\0{user_id}\0{place}".encode()).digest()
    return base32(int.from_bytes(digest[:16]), _HASH_CHARS)


def new_base(shard: int, now_ms: int, random_bits: Callable[[int], int], medium: Medium) -> str:
    """What the ids of deliveries written in one step begin with: shard, time, 50 random bits, medium."""
    time = base32(now_ms, _TIME_CHARS)
    return base32(shard, _SHARD_CHARS) + time + base32(random_bits(50), _RANDOM_CHARS) + medium.letter


def medium_of(delivery_id: str) -> Medium:
    """What a delivery travels by, as its id says."""
    return MEDIUM_OF[delivery_id.partition("-")[0][-1]]


def is_delivery_id(text: str) -> bool:
    """Whether this can be a delivery's id; whether there is such a delivery, the store knows."""
    return _DELIVERY.fullmatch(text) is not None


def shard_of(identifier: str) -> int | None:
    """The shard in a trigger's or a delivery's id; None where the id can't be one of ours."""
    try:
        high, low = (ALPHABET.index(char) for char in identifier[:_SHARD_CHARS])
    except ValueError:
        return None
    return high * 32 + low
