"""A peer for each kind of provider: what the conformance suite drives a channel against.

A module is called like the kind, and has `peer(server_tls, ca)`, an async context manager that yields a `Peer`.
"""

from __future__ import annotations

import importlib
import ssl
from contextlib import AbstractAsyncContextManager

import trustme

from clarion_workers.channels.registry import PROVIDERS

from .peer import Peer

KINDS = tuple(PROVIDERS)


def peer_of(kind: str, server_tls: ssl.SSLContext, ca: trustme.CA) -> AbstractAsyncContextManager[Peer]:
    """The peer of a kind of provider; every kind has one."""
    made: AbstractAsyncContextManager[Peer] = importlib.import_module(f"{__name__}.{kind}").peer(server_tls, ca)
    return made
