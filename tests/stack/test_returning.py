"""Mail that comes back on the local stack: what the catcher sends is what the public door takes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from clarion_core.domain.bounce import BounceType
from clarion_core.store.store import Store
from clarion_stack.redis import RedisServer
from clarion_stack.returning import send_back
from support.edge import BOUNCES, SECRET, Door
from support.records import Records

FILE = f"mail: {{domain: {BOUNCES}, secret: {{env: RECEIPTS_SECRET}}}}"
# With a folded line, and more of them than one line may be long.
HEAD = b"Subject: Hello,\r\n world\r\n" + b"".join(b"X-Line-%d: %s\r\n" % (at, b"x" * 60) for at in range(40))
MESSAGE = HEAD + b"Message-ID: <x@clarion.invalid>\r\n\r\nHello\r\n"


async def test_what_the_catcher_sends_back_is_a_hard_bounce(
    store: Store, redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECEIPTS_SECRET", SECRET)
    async with Door(Records(store), redis_server.url, tmp_path) as door:
        await door.open(FILE, edge_mail="127.0.0.1:0")
        [one] = await door.sent()
        sender = door.bounce_address(one)
        await asyncio.to_thread(send_back, door.edge.mail_port, "127.0.0.1", sender, "user-0@example.com", MESSAGE)
        [fact] = await door.facts()
    assert (fact.bounce_type, fact.code, fact.detail) == (BounceType.HARD, "5.1.1", "550 5.1.1 no such mailbox")
