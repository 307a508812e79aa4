from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from clarion_stack.directory import DirectoryLock
from clarion_stack.mailbox import Mailbox

ROOT = Path(__file__).parents[2]
STACK = str(Path(sys.executable).with_name("clarion-stack"))
pytestmark = [pytest.mark.journey, pytest.mark.timeout(180)]


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


def test_a_second_demo_in_the_same_place_is_refused_in_one_line(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "demo").mkdir()
    DirectoryLock(tmp_path / "demo").take()
    command = [STACK, "demo", "--directory", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"clarion-stack: a demo already runs here (process {os.getpid()})")
    assert len(ran.stderr.splitlines()) == 1
