"""The server that stands for APNs is fair: a client that others wrote for Apple's own gets on with it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import ssl
from pathlib import Path

import pytest
import trustme

from support.node import node_binary, npm_ci
from support.push.apns_rules import KEY_ID, TEAM, TOPIC
from support.push.apns_server import BAD, TAKES, ApnsServer, device
from support.push.notifications import p256_private_key, pem

SOURCE = Path(__file__).parents[1] / "support" / "push" / "node"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("node-apn")
    shutil.copytree(SOURCE, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
    done = npm_ci(node_binary(), place)
    assert done.returncode == 0, done.stderr
    return place / "send.cjs"


@pytest.mark.timeout(120)
async def test_what_node_apn_sends_keeps_the_rules_and_hears_what_is_wrong(
    client: Path, server_tls: ssl.SSLContext, ca: trustme.CA
) -> None:
    async with ApnsServer(server_tls) as server:
        gone, good, bad = device(TAKES, 1), device(TAKES, 2), device(BAD, 3)
        server.answers[gone] = (410, {"reason": "Unregistered", "timestamp": 1_795_507_200_000})
        process = await asyncio.create_subprocess_exec(
            node_binary(), client, str(server.port), TOPIC, gone, good, bad,
            env=os.environ | {
                "KEY": pem(p256_private_key("apns")),
                "KEY_ID": KEY_ID,
                "TEAM_ID": TEAM,
                "CA": ca.cert_pem.bytes().decode(),
            },
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, _ = await process.communicate()
        told = json.loads(output)
    assert told["sent"] == [good]
    assert sorted(told["failed"], key=lambda each: each["status"]) == [
        {"device": bad, "status": 400, "reason": "BadDeviceToken"},
        {"device": gone, "status": 410, "reason": "Unregistered"},
    ]
    [notified] = server.notified
    assert notified.payload["aps"]["alert"]["body"] == "Größe M • 2 Stück 🎁"
    assert notified.headers["apns-collapse-id"] == "order-7"
