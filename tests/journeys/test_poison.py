"""Poison: a template that raises, loops or bloats for some recipients, in processes as a user starts them."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from clarion_client import InvalidArgument
from support.clarion import an_email
from support.journey import CAMPAIGN, Journey
from support.render_children import children_of

pytestmark = pytest.mark.journey

DOES = {
    "user-7": "{{ nothing.at.all }}",
    "user-42": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "user-99": "{{ 'a' * 10**9 }}",
}
WHY = {
    "user-7": "email.text, line 2: UndefinedError: 'nothing' has no value",
    "user-42": "email.text, line 3: took longer than 100 ms",
    "user-99": "email.text, line 4: needed more than 128 MiB",
}
TEXT = "Welcome" + "".join(
    f"\n{{% if recipient.user_id == '{user}' %}}{does.replace('nothing', 'profile.nothing')}{{% endif %}}"
    for user, does in DOES.items()
)


async def test_poison_fails_its_own_deliveries_with_a_reason_and_touches_no_other(journey: Journey) -> None:
    await journey.server(render_s=0.1, render_memory_mib=128)
    await journey.campaign(contents=[an_email(text=TEXT)])
    worker = await journey.worker(render_s=0.1, render_memory_mib=128)
    names = await journey.trigger_all([f"user-{index}@example.com" for index in range(300)])
    [child] = children_of(worker.pid)
    os.kill(child, signal.SIGKILL)
    await journey.finished()

    report = await journey.report()
    assert report.closes, report
    assert report.states == {"sent": 291, "failed": 9}
    assert report.ambiguous == 0
    for name in names:
        failed = [each async for each in journey.client.list_deliveries(name) if each.detail != ""]
        assert {each.user_id: each.detail for each in failed if each.user_id in WHY} == WHY


async def test_a_preview_of_poison_is_refused_and_the_server_goes_on_answering(journey: Journey) -> None:
    await journey.server(render_s=0.1, render_memory_mib=128)
    await journey.campaign(contents=[an_email(text=TEXT)])

    async def why(user_id: str) -> str:
        recipient = {"user_id": user_id, "addresses": {"email": "ada@example.com"}}
        with pytest.raises(InvalidArgument) as refused:
            await journey.client.preview_campaign(CAMPAIGN, recipient)
        return str(refused.value)

    told = await asyncio.gather(*(why(user_id) for user_id in WHY))
    assert all(why in each for each, why in zip(told, WHY.values(), strict=True))
    answer = await journey.client.preview_campaign(
        CAMPAIGN, {"user_id": "user-1", "addresses": {"email": "ada@example.com"}}
    )
    assert answer.email.text.startswith("Welcome")
