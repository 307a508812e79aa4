"""What Clarion is compared with says what Clarion says, and installs what its lock files say."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from arq import create_pool
from arq.connections import RedisSettings

from benchmarks import obvious, orders
from benchmarks.bare import messages_of
from benchmarks.peers.environments import HERE
from benchmarks.peers.honesty import Said, check, keeping_sink
from benchmarks.peers.peer import PEERS, Peer
from benchmarks.processes import Child, module
from clarion_stack.redis import RedisServer
from clarion_workers.channels.email.message import BuiltEmail
from clarion_workers.channels.email.mime import MimeBuilder
from support.example_orders import valid_orders

ORDERS = len(valid_orders())


@pytest.mark.journey
@pytest.mark.parametrize("peer", PEERS, ids=[peer.name for peer in PEERS])
async def test_a_peers_mail_for_every_order_says_what_ours_says(peer: Peer, tmp_path: Path) -> None:
    assert await check(peer, tmp_path) == ORDERS


@pytest.mark.journey
async def test_the_obvious_builds_mail_for_every_order_says_what_ours_says(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    pool = await create_pool(RedisSettings(unix_socket_path=str(redis_server.socket)))
    await pool.flushall()
    with keeping_sink(tmp_path / "mails.jsonl") as mails:
        command = module("benchmarks.obvious", "--redis-socket", redis_server.socket, "--smtp-port", mails.port)
        with Child("obvious", command, tmp_path, '"started"'):
            for order in orders.plain(mails.count):
                await pool.enqueue_job(obvious.JOB, order)
            assert await mails.compare("the obvious build") == ORDERS
    await pool.aclose()


async def said_of_the_first_order() -> Said:
    [message] = messages_of(1)
    built = MimeBuilder("example.com").build(message)
    assert isinstance(built, BuiltEmail)
    return Said.of(built.content)


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("subject", "Your order LL-1 is confirmed"),
        ("to", [("", "somebody@example.com")]),
        ("text", ["Thank you!"]),
        ("html", ["<html {}>", "Thank you!", "</html>"]),
    ],
)
async def test_a_mail_that_says_something_else_is_found(field: str, other: object) -> None:
    said = await said_of_the_first_order()
    assert said.difference(said) == ""
    assert said.difference(dataclasses.replace(said, **{field: other})).startswith(f"{field}: ")


async def test_a_mail_that_says_less_is_found() -> None:
    said = await said_of_the_first_order()
    assert said.difference(dataclasses.replace(said, html=said.html[:-1])).startswith("html: ")


def test_the_locks_of_the_peers_name_no_place_and_hash_everything() -> None:
    lock = (HERE / "celery/requirements.txt").read_text()
    assert not re.search(r"://|--index|find-links|trusted-host|file:| @ ", lock)
    blocks = re.findall(r"^\S+==[^\n]*\n(?:    [^\n]*\n?)*", lock, re.MULTILINE)
    assert len(blocks) > 10
    assert all("--hash=sha256:" in block for block in blocks)

    packages = json.loads((HERE / "bullmq/package-lock.json").read_text())["packages"]
    installed = {name: package for name, package in packages.items() if name}
    assert len(installed) > 10
    assert not any("resolved" in package for package in installed.values())
    assert all(package["integrity"].startswith("sha512-") for package in installed.values())
