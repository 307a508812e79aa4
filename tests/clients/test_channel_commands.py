"""`clarion channels` against a real server and a real worker."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clarion_core.store.store import Store
from clarion_stack.redis import RedisServer
from clients.conftest import Cli, Ended
from support.clarion import Clarion
from support.emails import closed_port
from support.smtp_sink import SmtpSink

EXAMPLE = Path(__file__).parents[2] / "examples/channels/orders.yaml"
YAML = """\
id: orders-mail
channel: email
category: transactional
display_name: Orders
settings:
  sender: Shop <orders@example.com>
  providers:
    - name: main
      smtp: {host: 127.0.0.1, port: PORT}
"""


def yaml(port: int) -> str:
    return YAML.replace("PORT", str(port))


def write(file: Path, text: str) -> None:
    file.write_text(text)


@pytest.fixture
async def running(store: Store, redis_server: RedisServer) -> AsyncIterator[Clarion]:
    async with Clarion(redis_server.url) as made:
        yield made


@pytest.fixture
def channels(running: Clarion, cli: Cli) -> Cli:
    async def run(*arguments: str | Path, **environment: str) -> Ended:
        return await cli("channels", *arguments, CLARION_SERVER=running.target, **environment)

    return run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "orders.yaml"
    path.write_text(yaml(2525))
    return path


async def test_a_file_is_applied_once_and_a_change_is_named(channels: Cli, file: Path) -> None:
    assert (await channels("apply", file, "--dry-run")).out == "orders-mail: created (dry run)\n"
    assert (await channels("list")).err == "no channel configurations\n"
    ended = await channels("apply", file)
    assert (ended.code, ended.out, ended.err) == (0, "orders-mail: created\n", "")
    assert (await channels("apply", file)).out == "orders-mail: unchanged\n"
    write(file, yaml(2526).replace("Orders", "All orders"))
    line = "orders-mail: changed (display_name, settings.providers)"
    assert (await channels("apply", file, "--dry-run")).out == f"{line} (dry run)\n"
    [told] = (await channels("apply", file, "-o", "json")).json
    assert (told["change"], told["changed"]) == ("changed", ["display_name", "settings.providers"])
    assert told["channel_configuration"]["version"] == "2"


async def test_what_is_kept_is_listed_shown_and_looked_back_at(channels: Cli, file: Path) -> None:
    await channels("apply", file)
    write(file, yaml(2526))
    await channels("apply", file)
    head, line = (await channels("list")).out.splitlines()
    assert head.split() == ["CONFIGURATION", "CHANNEL", "CATEGORY", "PROVIDERS", "VERSION", "UPDATED", "NAME"]
    assert line.split()[:5] == ["orders-mail", "email", "transactional", "main", "2"]
    shown = (await channels("show", "orders-mail")).out
    assert "port: 2526" in shown
    assert "port: 2525" in (await channels("show", "channelConfigurations/orders-mail", "--version", "1")).out
    _, second, first = (await channels("history", "orders-mail")).out.splitlines()
    assert (second.split()[0], second.split()[-1]) == ("2", "settings.providers")
    assert (first.split()[0], first.split()[-1]) == ("1", "created")
    assert [each["version"] for each in (await channels("history", "orders-mail", "-o", "json")).json] == ["2", "1"]


async def test_one_that_is_removed_and_made_again_goes_on_counting(channels: Cli, file: Path) -> None:
    await channels("apply", file)
    assert (await channels("delete", "orders-mail")).out == "orders-mail: deleted\n"
    ended = await channels("show", "orders-mail")
    assert ended.code == 3
    assert "`clarion channels list` shows those of this workspace" in ended.err
    await channels("apply", file)
    _, second, _ = (await channels("history", "orders-mail")).out.splitlines()
    assert second.endswith("created again")


async def test_every_problem_that_the_server_finds_is_shown_where_it_stands(channels: Cli, file: Path) -> None:
    write(file, yaml(70_000).replace("  sender:", "  routign: order\n  sender:").replace("main", "M"))
    ended = await channels("apply", file)
    assert ended.code == 4
    assert f"{file}:10:37: must be a whole number from 1 to 65535\n" in ended.err
    assert f"{file}:6:12: is not known here; did you mean routing?\n  6 |   routign: order\n" in ended.err
    assert f"{file}:9:13: " in ended.err
    write(file, yaml(2525).replace("host: 127.0.0.1, ", ""))
    [failed] = (await channels("apply", file, "-o", "json")).json
    [error] = failed["errors"]
    assert (error["line"], failed["channel_configuration_id"]) == (9, "orders-mail")
    assert error["message"].startswith("host is missing")


async def test_a_secret_in_a_file_is_refused_and_not_shown_by_the_server(channels: Cli, file: Path) -> None:
    write(file, yaml(2525).replace("port: 2525", "username: clarion, password: hunter2"))
    ended = await channels("apply", file, "-o", "json")
    assert "must not stand here itself" in ended.json[0]["errors"][0]["message"]
    assert "hunter2" not in ended.out


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (YAML.replace("channel: email", "chanel: email"), "2:1: unknown key 'chanel'; did you mean 'channel'?"),
        (YAML.replace("channel: email\n", ""), "1:1: 'channel' is missing"),
        (YAML.replace("channel: email", "channel: fax"), "2:10: 'channel' must be one of email, sms, push, webhook"),
        (YAML.replace("category: transactional", "category: urgnt"), "3:11: 'category' must be one of transactional"),
        (YAML.replace("id: orders-mail", "id: Orders"), "1:5: a channel configuration's id is 3 to 63 of a-z"),
        (YAML.replace("id: orders-mail", "id: 7"), "1:5: this must be text"),
        (YAML.replace("  sender:", "  sender: x\n  sender:"), "7:3: 'sender' stands here twice"),
        (YAML + "---\n" + YAML, "11:1: 'orders-mail' is described twice"),
        (YAML.replace("display_name: Orders", "settings: {}"), "5:1: 'settings' stands here twice"),
        ("- a list\n", "1:1: this must be a mapping"),
        ("id: orders-mail\nchannel: email\nsettings: all\n", "3:11: this must be a mapping"),
        ("id: [\n", "2:1: this is not YAML: "),
        ("", "1:1: the file is empty"),
    ],
)
async def test_a_mistake_in_a_file_is_shown_before_anything_is_sent(
    cli: Cli, tmp_path: Path, wrong: str, complaint: str
) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(yaml(2525).replace("orders-mail", "other-mail"))
    bad.write_text(wrong)
    ended = await cli("channels", "apply", good, bad)
    assert ended.code == 4
    assert f"error: {bad}:{complaint}" in ended.err
    assert "no server answers" not in ended.err


async def test_a_file_that_is_not_there_is_exit_code_4(cli: Cli, tmp_path: Path) -> None:
    ended = await cli("channels", "apply", tmp_path / "absent.yaml")
    assert (ended.code, "No such file" in ended.err) == (4, True)


async def test_a_test_tells_of_each_provider_and_ends_by_what_it_found(
    running: Clarion, channels: Cli, file: Path
) -> None:
    async with SmtpSink() as sink:
        await running.work(sink.port)
        write(file, yaml(sink.port))
        await channels("apply", file)
        ended = await channels("test", "orders-mail")
        assert ended.code == 0, ended.err
        head, line = ended.out.splitlines()
        assert head.split() == ["PROVIDER", "KIND", "MS", "FOUND"]
        assert line.split()[:3] == ["main", "smtp", "ok"]
        assert "connected in the clear" in line
        write(file, yaml(closed_port()))
        await channels("apply", file)
        ended = await channels("test", "orders-mail")
        assert (ended.code, ended.out.splitlines()[1].split()[:3]) == (1, ["main", "smtp", "✗"])
        ended = await channels("test", "orders-mail", "-o", "json")
        assert (ended.code, [each["ok"] for each in json.loads(ended.out)["findings"]]) == (1, [False])
        assert sink.messages == []
    assert (await channels("test", "nothing")).code == 3


async def test_the_example_can_be_applied(channels: Cli) -> None:
    ended = await channels("apply", EXAMPLE)
    assert (ended.code, ended.out) == (0, "orders-mail: created\norders-sms: created\n")
