"""Resource names, in full or in short: `campaigns/welcome` or `welcome`, `campaigns/welcome/triggers/01…` or
`welcome/01…`, and so for deliveries; `workers/mill-7-0a1b2c` or `mill-7-0a1b2c`, and so for lanes. Names that fit
neither form are passed on: the server says what is wrong.
"""

from __future__ import annotations

_COLLECTIONS = ("campaigns", "triggers", "deliveries")
_FLAT = ("workers", "lanes", "channelConfigurations")


def campaign_name(name: str) -> str:
    """`welcome` → `campaigns/welcome`."""
    return _full(name, 1)


def trigger_name(name: str) -> str:
    """`welcome/01…` → `campaigns/welcome/triggers/01…`."""
    return _full(name, 2)


def delivery_name(name: str) -> str:
    """`welcome/01…/01…-1` → `campaigns/welcome/triggers/01…/deliveries/01…-1`."""
    return _full(name, 3)


def worker_name(name: str) -> str:
    """`mill-7-0a1b2c` → `workers/mill-7-0a1b2c`."""
    return name if "/" in name else f"workers/{name}"


def lane_name(name: str) -> str:
    """`marketing` → `lanes/marketing`."""
    return name if "/" in name else f"lanes/{name}"


def configuration_name(name: str) -> str:
    """`orders-sms` → `channelConfigurations/orders-sms`."""
    return name if "/" in name else f"channelConfigurations/{name}"


def short_name(name: str) -> str:
    """The short form of a full name, without the collections."""
    parts = name.split("/")
    if len(parts) == 2 and parts[0] in _FLAT:
        return parts[1]
    return "/".join(parts[1::2]) if tuple(parts[::2]) == _COLLECTIONS[: len(parts[::2])] else name


def _full(name: str, depth: int) -> str:
    ids = name.strip("/").split("/")
    if len(ids) != depth or ids[0] == _COLLECTIONS[0]:
        return name
    return "/".join(f"{collection}/{part}" for collection, part in zip(_COLLECTIONS, ids, strict=False))
