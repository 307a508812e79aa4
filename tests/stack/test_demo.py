from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clarion_stack.directory import DirectoryLock
from clarion_stack.mailbox import SUFFIXES, Mailbox

SECRETS = ("phone.password", "service-account.json", "webhooks.secret", "authority.key")
ROOT = Path(__file__).parents[2]
STACK = str(Path(sys.executable).with_name("clarion-stack"))
pytestmark = pytest.mark.journey


def number(table: str, row: str) -> int:
    found = re.search(rf"│ {row} +│ +([\d,]+) │", table)
    assert found is not None, table
    return int(found[1].replace(",", ""))


def test_the_demo_accounts_for_every_recipient_twice_in_a_row(tmp_path: Path, environment: dict[str, str]) -> None:
    orders = len((ROOT / "examples" / "orders.jsonl").read_text(encoding="utf-8").splitlines())
    others = Mailbox(tmp_path / "mail").deliver("a@b.test", ["c@d.test"], b"Subject: not the demo's\r\n\r\n")
    command = [STACK, "demo", "--directory", str(tmp_path)]
    for applied in ("created, activated", "unchanged"):
        ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert f"order-confirmation: {applied}" in ran.stdout
        accepted, refused, sent = (number(ran.stdout, row) for row in ("accepted", "refused", "sent"))
        assert accepted + refused == number(ran.stdout, "recipients") == orders
        assert f"in {orders} calls, {orders - refused} triggers" in ran.stdout
        assert sent == accepted > 500
        assert refused > 0
        assert number(ran.stdout, "bounced") == 1
        assert "hard, invalid" in ran.stdout
        assert re.search(r"accounting +│ +closes", ran.stdout)
        kept = set((tmp_path / "mail").glob("*.eml"))
        assert others in kept
        assert len(kept) == sent + 1
        assert (tmp_path / "mail" / "index.html").as_uri() in ran.stdout
    assert (tmp_path / "demo" / "log" / "worker.log").stat().st_size > 0


def test_the_demo_of_every_channel_shows_what_people_get_twice_in_a_row(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    command = [STACK, "demo", "--channels", "all", "--directory", str(tmp_path)]
    tables = []
    for _ in range(2):
        ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        tables.append({name: counts_of(ran.stdout, name) for name in ("email", "sms", "push", "webhook", "all")})
        for channel, suffix in SUFFIXES.items():
            accepted, sent, failed, suppressed = tables[-1][channel.value]
            assert accepted == sent + failed + suppressed
            assert sent == len(list((tmp_path / "mail").glob(f"*{suffix}"))) > 50
        assert all(
            words in ran.stdout
            for words in (
                *("Subject  Your order", "segments", "Track parcel", "✓ signature valid", "550 5.1.1 no such mailbox"),
                *("recipient refused", "address suppressed", "device gone", "endpoint gone", "endpoint forbidden"),
            )
        )
        assert re.search(r"accounting +closes: ", ran.stdout)
    assert tables[0] == tables[1]
    calls = [json.loads(path.read_text("utf-8")) for path in (tmp_path / "mail").glob("*.webhook.json")]
    assert {call["signature"] for call in calls} == {"signature valid"}
    secrets = [path for name in SECRETS for path in (tmp_path / "demo").rglob(name)]
    assert len(secrets) == len(SECRETS)
    assert all(path.stat().st_mode & 0o077 == 0 for path in secrets)


def counts_of(output: str, row: str) -> list[int]:
    """Accepted, sent, failed and suppressed, as the table has them."""
    found = re.search(rf"│ {row} +│ +([\d,]+) │ +([\d,]+) │ +([\d,]+) │ +([\d,]+) │", output)
    assert found is not None, output
    return [int(each.replace(",", "")) for each in found.groups()]


def test_an_interrupted_demo_leaves_nothing_running(tmp_path: Path, environment: dict[str, str]) -> None:
    command = [STACK, "demo", "--channels", "all", "--directory", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout
        assert any("created, activated" in line for line in demo.stdout)
        assert running_in(tmp_path)
        demo.send_signal(signal.SIGINT)
        demo.stdout.read()
        assert demo.wait() == 130
    assert not running_in(tmp_path)


def running_in(directory: Path) -> list[str]:
    """The commands of the processes that were told of this directory, the tests' own aside."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if os.fsencode(directory) in told and int(process.name) != os.getpid():
            found.append((process / "comm").read_text("utf-8"))
    return found


@pytest.mark.parametrize("channels", ["al", "email,sms"])
def test_channels_that_there_are_not_are_said_to_be_none(channels: str, environment: dict[str, str]) -> None:
    command = [STACK, "demo", "--channels", channels]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert f"'{channels}' is not one of 'email', 'all'" in " ".join(ran.stderr.replace("│", "").split())


def test_a_second_demo_in_the_same_place_is_refused_in_one_line(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "demo").mkdir()
    DirectoryLock(tmp_path / "demo").take()
    command = [STACK, "demo", "--directory", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"clarion-stack: a demo already runs here (process {os.getpid()})")
    assert len(ran.stderr.splitlines()) == 1
