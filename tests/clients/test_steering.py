"""The command against the real thing: what a person does when messages went wrong."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from clarion_core.store.store import Store
from clarion_stack.redis import RedisServer
from clients.conftest import Ended, command_line
from support.clarion import Clarion
from support.smtp_sink import SmtpSink

YAML = """\
id: welcome
category: urgent
ambiguity_policy: at_most_once
time_to_live_s: 3600
throttle: {rate_per_s: 1000, burst: 10}
retry_policy: {max_age_s: 600}
contents:
  - email: {from: shop@example.com, subject: Hello, text: Welcome.}
"""
Run = Callable[..., Awaitable[Ended]]


@pytest.fixture
async def real(store: Store, redis_server: RedisServer) -> AsyncIterator[Clarion]:
    async with Clarion(redis_server.url) as running:
        yield running


@pytest.fixture
def run(real: Clarion) -> Run:
    async def run(*arguments: str | Path) -> Ended:
        process = await asyncio.create_subprocess_exec(
            *command_line(*arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"CLARION_SERVER": real.target},
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        return Ended(process.returncode, out.decode(), err.decode())

    return run


async def test_what_went_wrong_is_found_sent_again_and_put_aside(real: Clarion, run: Run, tmp_path: Path) -> None:
    (tmp_path / "campaign.yaml").write_text(YAML)
    applied = await run("apply", tmp_path, "--activate", "-o", "json")
    assert applied.json[0]["campaign"]["throttle"] == {"rate_per_s": 1000.0, "burst": 10}
    assert (await run("apply", tmp_path)).out == "welcome: unchanged\n"
    async with SmtpSink() as sink:
        await real.work(sink.port)
        for address in ("rcpt-550+a@example.com", "dot-drop-once+b@example.com"):
            ended = await run("trigger", "welcome", "--to", address, "--expire-in", "1h", "--watch")
            assert ended.code == 1
        listed = await run("dead-letters", "list", "welcome", "-o", "json")
        failed, unsure = [each["name"] for each in listed.json]
        check = await run("dead-letters", "redrive", "welcome", "--check", "-o", "json")
        assert check.json == {"checked": True, "redriven": 2, "ambiguous": 1, "skipped": 0}

        redriven = await run("dead-letters", "redrive", "welcome", "--delivery", unsure, "-o", "json")
        assert (redriven.code, redriven.json) == (0, {"redriven": 1, "skipped": 0})
        assert (await run("watch", unsure.partition("/deliveries/")[0])).code == 0
        got = (await run("deliveries", "get", unsure, "-o", "json")).json
        assert (got["state"], got["ambiguous_attempts"]) == ("STATE_SENT", 1)
        assert [f"<{message.message_id}>" for message in sink.messages] == [got["message_id"]] * 2

        discarded = await run("dead-letters", "discard", "welcome", "--because", "wrong address", "--state", "failed")
        assert (discarded.code, discarded.out) == (0, "welcome: 1 discarded\n")
        assert "because: wrong address" in (await run("deliveries", "get", failed)).out
        assert (await run("dead-letters", "list", "welcome")).err == "no dead letters\n"


async def test_a_trigger_is_held_back_and_let_go(real: Clarion, run: Run) -> None:
    await real.live_campaign()
    trigger = await run("trigger", "welcome", "--to", "ana@example.com", "--ordering-key", "account-7", "-o", "json")
    name = trigger.json["name"]
    assert (await run("triggers", "pause", name, "-o", "json")).json["state"] == "STATE_PAUSED"
    async with SmtpSink() as sink:
        await real.work(sink.port)
        other = await run("trigger", "welcome", "--to", "bea@example.com", "--watch")
        assert other.code == 0
        assert [message.rcpt_to for message in sink.messages] == [["bea@example.com"]]
        assert (await run("triggers", "resume", name)).code == 0
        assert (await run("watch", name)).code == 0
        ended = await run("triggers", "pause", name)
    assert ended.code == 5
    assert "(TRIGGER_STATE)\n  to do  nothing: it is finished" in ended.err
    assert [message.rcpt_to for message in sink.messages] == [["bea@example.com"], ["ana@example.com"]]
