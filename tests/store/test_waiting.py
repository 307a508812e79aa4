from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from clarion_core.store.connection import connect
from clarion_core.store.store import Store
from clarion_core.store.waiting import SAY_AGAIN_S, until_there
from clarion_stack.local import free_port


@pytest.mark.parametrize(("say_again_s", "times"), [(SAY_AGAIN_S, 1), (0, 2)])
@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("redis://127.0.0.1:{port}/0", "refused"),
        ("unix:///no/such/socket", "FileNotFoundError"),
    ],
)
async def test_a_store_that_is_away_is_named_with_the_reason_at_first_and_again_later(
    place: str, reason: str, say_again_s: float, times: int
) -> None:
    address = place.format(port=free_port())
    store = Store(connect(address))
    attempts = iter((store.load, store.load))

    async def greet() -> str:
        if attempt := next(attempts, None):
            await attempt()
        return "there"

    with capture_logs() as lines:
        assert await until_there(greet, address, say_again_s) == "there"
    said = {"event": "store_away", "log_level": "warning", "address": address, "reason": reason, "waiting": True}
    assert [{name: line[name] for name in said} for line in lines] == [said] * times
    await store.close()
