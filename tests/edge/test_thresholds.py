"""Soft bounces that the door hears of: as many as the configuration says suppress, on days of their own time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from clarion_core.domain.content import EmailContent
from clarion_core.domain.suppression import SuppressionReason
from clarion_core.store.configurations import Configurations
from support.configurations import Kept, smtp
from support.edge import SECRET, Door

SUPPRESSED = SuppressionReason.SOFT_BOUNCES
FILE = """
sources:
  - name: relay
    http:
      secret: {env: RECEIPTS_SECRET}
      secret_header: X-Secret
      delivery: /id
      status: /status
      time: /at
      statuses: {full: mailbox_full, arrived: delivered}
"""
TWICE = {"soft_bounces": 2}


async def bounce(door: Door, delivery: str, days_ago: float, status: str = "full") -> SuppressionReason | None:
    """Tell of a bounce of so many days ago; why the address is suppressed then."""
    at = (datetime.now(UTC) - timedelta(days=days_ago)).isoformat()
    body = json.dumps({"id": delivery, "status": status, "at": at})
    assert await door.post("/receipts/relay", body, X_Secret=SECRET) == 200
    return await door.suppressed()  # type: ignore[no-any-return]


def an_email(configuration: str = "") -> EmailContent:
    return EmailContent(sender="a@example.com", subject="Hi", text="Hi", configuration=configuration)


@pytest.fixture
def kept(door: Door) -> Kept:
    return Kept(Configurations(door.records.store))


async def test_the_configuration_that_a_delivery_left_by_says_how_many_bounces_suppress(door: Door, kept: Kept) -> None:
    await kept.put("orders-mail", smtp(25) | TWICE)
    await door.open(FILE)
    [one] = await door.sent(email=an_email("orders-mail"))
    assert await bounce(door, one, 3.0) is None
    assert await bounce(door, one, 2.5) is None, "one a day counts, by the bounces' own time"
    assert await bounce(door, one, 2.0) is SUPPRESSED


async def test_a_change_of_the_configuration_is_in_force_at_once(door: Door, kept: Kept) -> None:
    await kept.put("orders-mail", smtp(25) | {"soft_bounces": 20})
    await door.open(FILE)
    [one] = await door.sent(email=an_email("orders-mail"))
    assert await bounce(door, one, 3) is None
    await kept.put("orders-mail", smtp(25) | TWICE)
    assert await bounce(door, one, 2) is SUPPRESSED


async def test_the_workers_file_says_it_for_what_leaves_by_it(door: Door, kept: Kept, tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    password = {"username": "clarion", "password": {"file": "not/on/this/machine"}, "ca_file": "nor/this.pem"}
    file.write_text(json.dumps({"email": smtp(25, **password) | TWICE}))
    await kept.put("orders-mail", smtp(25))
    await door.open(FILE, channels=file)
    [one] = await door.sent(email=an_email())
    assert await bounce(door, one, 3) is None
    assert await bounce(door, one, 2) is SUPPRESSED


async def test_the_stores_configuration_goes_before_the_workers_file(door: Door, kept: Kept, tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text(json.dumps({"email": smtp(25) | TWICE}))
    await kept.put("email", smtp(25) | {"soft_bounces": 3})
    await door.open(FILE, channels=file)
    [one] = await door.sent(email=an_email())
    found = [await bounce(door, one, days_ago) for days_ago in (4, 3, 2)]
    assert found == [None, None, SUPPRESSED]


@pytest.mark.parametrize("configuration", ["", "orders-mail"])
async def test_five_suppress_where_nobody_says_otherwise(door: Door, kept: Kept, configuration: str) -> None:
    await kept.put("orders-mail", smtp(25) | TWICE)
    await kept.delete("orders-mail")
    await door.open(FILE)
    [one] = await door.sent(email=an_email(configuration))
    found = [await bounce(door, one, days_ago) for days_ago in (6, 5, 4, 3, 2)]
    assert found == [None] * 4 + [SUPPRESSED]


async def test_a_bounce_that_is_told_again_days_later_counts_once(door: Door, kept: Kept) -> None:
    await kept.put("orders-mail", smtp(25) | TWICE)
    await door.open(FILE)
    [one] = await door.sent(email=an_email("orders-mail"))
    assert await bounce(door, one, 9) is None
    assert await bounce(door, one, 9) is None
    assert await bounce(door, one, 11) is None, "one that was before the last that counted says nothing new"
    assert await bounce(door, one, 0) is SUPPRESSED


async def test_a_message_that_arrived_between_them_sets_the_count_back(door: Door, kept: Kept) -> None:
    await kept.put("orders-mail", smtp(25) | TWICE)
    await door.open(FILE)
    [one] = await door.sent(email=an_email("orders-mail"))
    await bounce(door, one, 3)
    assert await bounce(door, one, 2.9, "arrived") is None
    assert await bounce(door, one, 2) is None
    assert await bounce(door, one, 1) is SUPPRESSED


async def test_a_configuration_that_another_release_wrote_leaves_the_default(door: Door, kept: Kept) -> None:
    await kept.put("orders-mail", {"soft_bounces": 2, "providers": [{"name": "main", "pigeon": {}}]})
    await door.open(FILE)
    [one] = await door.sent(email=an_email("orders-mail"))
    with capture_logs() as lines:
        found = [await bounce(door, one, days_ago) for days_ago in (3, 2)]
    assert found == [None, None]
    assert {line["configuration"] for line in lines if line["event"] == "configuration_not_read"} == {
        "default/orders-mail"
    }
