"""docs/channels.md says what the code says, and the code claims what its peers see."""

from __future__ import annotations

import time

import pytest
from msgspec.structs import replace

from clarion_workers.channels.registry import PROVIDERS
from support.channels_page import PAGE, page
from support.peers import KINDS
from support.peers.peer import Peer


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text("utf-8") == page(), "cd tests && python -m support.channels_page writes it"


@pytest.mark.parametrize("kind", KINDS, indirect=True)
async def test_what_a_kind_claims_is_what_its_peer_sees(peer: Peer, kind: str) -> None:
    supports = PROVIDERS[kind].supports
    await peer.channel().send([replace(peer.message("takes", 1), deadline_s=time.monotonic() + 600)])
    seen = {
        "idempotency_key": any(peer.keys() or []),
        "provider_id": any(peer.ids() or []),
        "expiry": any(peer.lifetimes_s() or []),
        "retry_after": peer.throttle_s is not None,
    }
    assert seen == {claim: bool(getattr(supports, claim)) for claim in seen}
