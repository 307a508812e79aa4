"""Configurations of the store in a worker: each change is used at once, and nothing that is sent suffers by it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from clarion_core.configuration.channels import SmsPart
from clarion_core.domain.configuration import Configuration
from clarion_core.domain.medium import Channel, Medium
from clarion_core.domain.outcome import Sent, TransientFailure
from clarion_core.settings import WorkerSettings
from clarion_core.store.configurations import Configurations
from clarion_core.store.store import Store
from clarion_workers.following import Follower
from clarion_workers.providers import Router
from clarion_workers.routers import Opener, Routers
from support.configurations import Kept, smtp
from support.emails import email
from support.records import until
from support.smtp_sink import SmtpSink

KEY = "default/orders-mail"
LOCKED = {"username": "clarion", "password": {"env": "CLARION_SECRET_MAIL"}}


@dataclass(frozen=True, kw_only=True)
class Following:
    """A worker's configurations, by themselves."""

    kept: Kept
    routers: Routers
    follower: Follower
    changed: asyncio.Event

    def port(self, key: str = KEY) -> int:
        """The port that mail goes to by a configuration; 0: it waits."""
        opened = self.routers.find(key)
        part: Any = opened.part if opened else None
        return part.providers[0].smtp.port if part else 0


def following_of(store: Store, secrets: Path) -> Following:
    opener = Opener(WorkerSettings(secrets_dir=secrets), store)
    configurations, routers, changed = Configurations(store), Routers(opener.own()), asyncio.Event()
    follower = Follower(configurations, opener, routers, changed)
    return Following(kept=Kept(configurations), routers=routers, follower=follower, changed=changed)


@pytest.fixture
async def following(store: Store, tmp_path: Path) -> AsyncIterator[Following]:
    made = following_of(store, tmp_path)
    yield made
    await made.routers.close()


async def test_each_version_is_used_from_when_it_is_followed(following: Following) -> None:
    assert await following.follower.follow()
    assert following.routers.find(KEY) is None
    for port in (2001, 2002):
        await following.kept.put("orders-mail", smtp(port))
        assert await following.follower.follow()
        assert following.port() == port
    assert not await following.follower.follow(), "nothing changed"


async def test_whoever_follows_tells_that_something_changed(following: Following) -> None:
    await following.follower.follow()
    following.changed.clear()
    await following.follower.follow()
    assert not following.changed.is_set()
    await following.kept.put("orders-mail", smtp(2001))
    await following.follower.follow()
    assert following.changed.is_set()


async def test_what_is_being_sent_goes_on_with_what_it_began_with_which_is_closed_after(
    following: Following, sink: SmtpSink
) -> None:
    await following.kept.put("orders-mail", smtp(sink.port))
    await following.follower.follow()
    with following.routers.use(Medium.EMAIL, KEY) as before:
        assert before
        await following.kept.put("orders-mail", smtp(2))
        await following.follower.follow()
        assert following.port() == 2
        [outcome] = await before.channels["main"].send([email(1)])
        assert isinstance(outcome, Sent)
    await until(lambda: _is_closed(before))
    with following.routers.use(Medium.EMAIL, KEY) as now:
        assert now is not before


async def _is_closed(router: Router) -> bool:
    [outcome] = await router.channels["main"].send([email(2)])
    return isinstance(outcome, TransientFailure) and outcome.detail == "the channel is closed"


async def test_one_that_is_used_by_two_is_closed_after_both(following: Following, sink: SmtpSink) -> None:
    await following.kept.put("orders-mail", smtp(sink.port))
    await following.follower.follow()
    with following.routers.use(Medium.EMAIL, KEY) as one:
        with following.routers.use(Medium.EMAIL, KEY) as two:
            assert one is two
            await following.kept.delete("orders-mail")
            await following.follower.follow()
            assert following.routers.find(KEY) is None
        assert one
        assert not await _is_closed(one)
    await until(lambda: _is_closed(one))


async def test_a_version_that_cant_be_opened_leaves_the_one_before_in_use_and_is_told_once(
    following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLARION_SECRET_OTHER", "hunter2")
    await following.kept.put("orders-mail", smtp(2001))
    await following.follower.follow()
    with structlog.testing.capture_logs() as lines:
        await following.kept.put("orders-mail", smtp(2002, **LOCKED))
        await following.follower.follow()
        await following.kept.put("another", smtp(2003, username="a", password={"env": "CLARION_SECRET_OTHER"}))
        await following.follower.follow()
        await following.follower.follow(again=True)
    assert following.port() == 2001
    assert following.port("default/another") == 2003
    [told] = [line for line in lines if line["event"] == "configuration_not_opened"]
    assert (told["log_level"], told["configuration"], told["version"], told["in_use"]) == ("error", KEY, 2, 1)
    assert told["why"] == "providers[0].smtp.password.env: must be the name of an environment variable that is set"
    assert "hunter2" not in repr(lines)


async def test_a_secret_that_comes_later_is_enough(following: Following, tmp_path: Path) -> None:
    locked = {"username": "clarion", "password": {"file": "mail"}}
    await following.kept.put("orders-mail", smtp(2001))
    await following.follower.follow()
    await following.kept.put("orders-mail", smtp(2002, **locked))
    await following.follower.follow()
    assert following.follower.failed(KEY)
    (tmp_path / "mail").write_text("right\n")
    await following.follower.follow(again=True)
    assert following.port() == 2002
    assert following.follower.failed(KEY) is None


async def test_a_worker_that_starts_uses_the_last_version_that_it_can_open(store: Store, following: Following) -> None:
    for settings in (smtp(2001), smtp(2002), smtp(2003, **LOCKED), smtp(2004, **LOCKED)):
        await following.kept.put("orders-mail", settings)
    await following.follower.follow()
    assert following.port() == 2002


async def test_one_that_was_never_opened_makes_its_messages_wait_and_not_leave_by_the_workers_own(
    following: Following,
) -> None:
    assert following.routers.find("default/email"), "the worker's own"
    await following.kept.put("email", smtp(2001, **LOCKED))
    await following.follower.follow()
    with following.routers.use(Medium.EMAIL, "default/email") as router:
        assert router is None
    with following.routers.use(Medium.EMAIL, "other/email") as router:
        assert router, "another workspace has none of its own"
    await following.kept.delete("email")
    await following.follower.follow()
    assert following.follower.failed("default/email") is None
    with following.routers.use(Medium.EMAIL, "default/email") as router:
        assert router


async def test_one_of_the_same_name_and_version_is_another_one(store: Store, following: Following) -> None:
    await following.kept.put("orders-mail", smtp(2001))
    await following.follower.follow()
    await following.kept.delete("orders-mail")
    await store.command("DEL", "clarion:{control}:cf:default/orders-mail")  # what 60 days do
    made = await following.kept.put("orders-mail", smtp(2002))
    assert made.version == 1
    await following.follower.follow()
    assert following.port() == 2002


async def test_versions_of_one_that_was_removed_are_not_gone_back_to(following: Following) -> None:
    await following.kept.put("orders-mail", smtp(2001))
    await following.follower.follow()
    await following.kept.delete("orders-mail")
    await following.kept.put("orders-mail", smtp(2002, **LOCKED))
    await following.follower.follow()
    assert following.port() == 0


async def test_whatever_opening_meets_the_others_are_followed(
    following: Following, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key.pem").write_text("hunter2 is no key")
    key = {"domain": "example.com", "selector": "s", "private_key": {"file": "key.pem"}}
    await following.kept.put("orders-mail", smtp(2001) | {"dkim": [key]})
    await following.kept.put("plain-mail", smtp(2002))
    with structlog.testing.capture_logs() as lines:
        await following.follower.follow()
    assert following.port("default/plain-mail") == 2002
    assert following.follower.failed(KEY)
    assert "hunter2" not in repr(lines)


async def test_followers_at_once_end_with_the_newest(store: Store, following: Following) -> None:
    for port in range(2001, 2011):
        await following.kept.put("orders-mail", smtp(port))
        await following.kept.put("another", smtp(port))
        await asyncio.gather(*(following.follower.follow() for _ in range(3)))
        assert (following.port(), following.port("default/another")) == (port, port)


async def test_a_change_that_comes_while_others_are_read_is_not_missed(store: Store, following: Following) -> None:
    await following.kept.put("orders-mail", smtp(2001))
    reading = asyncio.create_task(following.follower.follow())
    await following.kept.put("orders-mail", smtp(2002))
    await reading
    await following.follower.follow()
    assert following.port() == 2002


async def test_what_people_answer_stops_messages_of_the_configurations_own_workspace(
    following: Following, store: Store
) -> None:
    slot = await Configurations(store).read("other", "texts")
    texts = Configuration(
        workspace="other",
        id="texts",
        channel=Channel.SMS,
        settings={"providers": [{"name": "carrier", "smpp": {"host": "127.0.0.1", "port": 1, "system_id": "a"}}]},
    )
    await Configurations(store).put(texts, slot, following.kept.request())
    await following.follower.follow()
    opened = following.routers.find("other/texts")
    assert opened
    assert isinstance(opened.part, SmsPart)
    assert opened.part.workspaces == ["other"]


async def test_two_workspaces_of_one_name_share_neither_limits_nor_breakers(following: Following) -> None:
    for workspace, port in (("default", 2001), ("other", 2002)):
        await following.kept.put("orders-mail", smtp(port), workspace)
    await following.follower.follow()
    ways = []
    for key in (KEY, "other/orders-mail", "default/email"):
        with following.routers.use(Medium.EMAIL, key) as router:
            assert router
            ways.append({name for name, _ in router.way(await router.choose()).limits})  # type: ignore[arg-type]
    shared = {"channel:email"}  # what an operator sets for all that leaves by e-mail
    assert ways[0] == shared | {"configuration:default/orders-mail", "provider:default/orders-mail/main"}
    assert ways[2] == shared | {"provider:email/smtp"}
    assert ways[0] & ways[1] == ways[0] & ways[2] == ways[1] & ways[2] == shared
