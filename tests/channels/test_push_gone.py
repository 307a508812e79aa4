"""A device that is gone is not sent to again: what its platform answers reaches the list, and the list is asked."""

from __future__ import annotations

import json
import ssl

import pytest
import trustme

from clarion_core.domain.delivery import Reason
from clarion_core.domain.medium import Channel
from clarion_core.domain.outcome import AddressFact, PermanentFailure
from clarion_core.domain.suppression import SuppressionReason, VerdictKind, fact_of
from clarion_core.store.store import Store
from clarion_core.store.suppressions import Suppressions, Told
from support.peers import peer_of
from support.peers.apns import ApnsPeer
from support.peers.peer import Peer
from support.peers.webpush import WebPushPeer
from support.push.apns_server import TAKES, device
from support.push.notifications import notification


def gone(peer: Peer) -> str:
    """The token of a device that this peer knows to be gone."""
    if isinstance(peer, ApnsPeer):
        peer.server.answers[device(TAKES, 9)] = (410, {"reason": "Unregistered", "timestamp": 1_795_507_200_000})
        return device(TAKES, 9)
    return peer.service.subscription("gone", 9) if isinstance(peer, WebPushPeer) else "unregistered:9"


def written_otherwise(token: str) -> str:
    """The same device, as another caller may write it."""
    if token.startswith("{"):
        return json.dumps(json.loads(token) | {"expirationTime": 1}, indent=2)
    return token.upper() if token.isalnum() else token


@pytest.mark.parametrize("kind", ["fcm", "apns", "webpush"])
async def test_a_device_that_is_gone_is_suppressed(
    kind: str, server_tls: ssl.SSLContext, ca: trustme.CA, store: Store
) -> None:
    suppressions = Suppressions(store)
    async with peer_of(kind, server_tls, ca) as peer:
        token = gone(peer)
        [outcome] = await peer.channel().send([notification(9, token)])
        assert isinstance(outcome, PermanentFailure)
        assert outcome.reason is Reason.DEVICE_GONE
        await peer.close()
    fact = fact_of(outcome)
    assert fact is AddressFact.DEVICE_GONE
    told = Told(address=token, fact=fact, source=kind, comment=outcome.detail)
    assert await suppressions.hear("default", Channel.PUSH, [told]) == [SuppressionReason.DEVICE_GONE]
    there, other = await suppressions.verdicts("default", Channel.PUSH, [written_otherwise(token), f"another{kind}"])
    assert there.kind is VerdictKind.ADDRESS_SUPPRESSED
    assert other.may
