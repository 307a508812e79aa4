from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STACK = str(Path(sys.executable).with_name("clarion-stack"))
pytestmark = [pytest.mark.journey, pytest.mark.timeout(180)]


@pytest.fixture
def environment() -> dict[str, str]:
    """A user's, who has set nothing; the port is a free one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CLARION_")}
    return {**kept, "CLARION_LISTEN": "127.0.0.1:0"}


def number(table: str, row: str) -> int:
    found = re.search(rf"│ {row} +│ +([\d,]+) │", table)
    assert found is not None, table
    return int(found[1].replace(",", ""))


def test_the_demo_accounts_for_every_recipient_twice_in_a_row(tmp_path: Path, environment: dict[str, str]) -> None:
    orders = len((ROOT / "examples" / "orders.jsonl").read_text(encoding="utf-8").splitlines())
    command = [STACK, "demo", "--directory", str(tmp_path)]
    for times, applied in ((1, "created, activated"), (2, "unchanged")):
        ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert f"order-confirmation: {applied}" in ran.stdout
        accepted, refused, sent = (number(ran.stdout, row) for row in ("accepted", "refused", "sent"))
        assert accepted + refused == number(ran.stdout, "recipients") == orders
        assert sent == accepted > 500
        assert refused > 0
        assert re.search(r"accounting +│ +closes", ran.stdout)
        assert len(list((tmp_path / "mail").glob("*.eml"))) == times * sent
        assert (tmp_path / "mail" / "index.html").as_uri() in ran.stdout
    assert (tmp_path / "log" / "worker.log").stat().st_size > 0


@contextmanager
def up(directory: Path, environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], Iterator[str]]]:
    command = [STACK, "up", "--directory", str(directory)]
    stack = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert stack.stdout is not None
    try:
        yield stack, iter(stack.stdout)
    finally:
        stack.kill()
        stack.wait()
        stack.stdout.close()


def next_line(lines: Iterator[str], pattern: str) -> re.Match[str]:
    return next(found for line in lines if (found := re.search(pattern, line)))


def test_the_stack_restarts_a_killed_worker_and_drains_on_ctrl_c(tmp_path: Path, environment: dict[str, str]) -> None:
    with up(tmp_path, environment) as (stack, lines):
        worker = int(next_line(lines, r"working worker=\S+-(\d+)-")[1])
        next_line(lines, r"Clarion is up")
        os.kill(worker, signal.SIGKILL)
        next_line(lines, r"^worker .*killed by SIGKILL; started again in 1 s")
        assert int(next_line(lines, r"working worker=\S+-(\d+)-")[1]) != worker
        stack.send_signal(signal.SIGINT)
        rest = "".join(lines)
        assert stack.wait() == 0
    assert re.search(r"worker .*drained.*server .*drained.*redis .*bye", rest, re.DOTALL), rest
    assert not (tmp_path / "redis" / "redis.sock").exists()
