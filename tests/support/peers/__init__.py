"""A peer for each kind of provider: what the conformance suite drives a channel against.

A module is called like the kind, and has `peer(server_tls, ca)`, an async context manager that yields a `Peer`.
"""

from __future__ import annotations

import importlib
import ssl
from contextlib import AbstractAsyncContextManager
from typing import cast

import trustme

from clarion_workers.channels.registry import PROVIDERS

from .peer import Peer

KINDS = tuple(PROVIDERS)
EXAMPLES = ("infobip", "sinch")
"""Peers besides: providers that examples describe for the kind `http`."""


def peer_of(kind: str, server_tls: ssl.SSLContext, ca: trustme.CA) -> AbstractAsyncContextManager[Peer]:
    """The peer of a kind of provider; every kind has one."""
    made: AbstractAsyncContextManager[Peer] = importlib.import_module(f"{__name__}.{kind}").peer(server_tls, ca)
    return made


def peer_class(kind: str) -> type[Peer]:
    """The class of that peer, which its module defines."""
    module = importlib.import_module(f"{__name__}.{kind}")
    [found] = [each for each in vars(module).values() if _is_peer(each) and each.__module__ == module.__name__]
    return cast("type[Peer]", found)


def _is_peer(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Peer)
