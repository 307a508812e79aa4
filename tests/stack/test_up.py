from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clarion_core.domain.medium import Channel
from clarion_stack.mailbox import SUFFIXES, Mailbox

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
pytestmark = pytest.mark.journey


@contextmanager
def up(
    directory: Path, environment: dict[str, str], *options: str
) -> Iterator[tuple[subprocess.Popen[str], Iterator[str]]]:
    command = [str(PROGRAMS / "clarion-stack"), "up", "--directory", str(directory), *options]
    stack = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert stack.stdout is not None
    try:
        yield stack, iter(stack.stdout)
    finally:
        stack.kill()
        stack.wait()
        stack.stdout.close()


def clarion(*arguments: str, environment: dict[str, str]) -> str:
    """What the command line says."""
    command = [str(PROGRAMS / "clarion"), *arguments]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def next_line(lines: Iterator[str], pattern: str) -> re.Match[str]:
    seen = []
    for line in lines:
        seen.append(line)
        if found := re.search(pattern, line):
            return found
    raise AssertionError(f"it ended without {pattern!r}:\n{''.join(seen)}")


def interrupted(stack: subprocess.Popen[str], lines: Iterator[str]) -> str:
    """What it writes from the interrupt to its end."""
    stack.send_signal(signal.SIGINT)
    rest = "".join(lines)
    assert stack.wait() == 0
    return rest


def test_the_stack_restarts_a_killed_worker_and_drains_on_ctrl_c(tmp_path: Path, environment: dict[str, str]) -> None:
    with up(tmp_path, environment | {"CLARION_LOG_LEVEL": "info"}) as (stack, lines):
        worker = int(next_line(lines, r"working worker=\S+-(\d+)-")[1])
        next_line(lines, r"Clarion is up")
        os.kill(worker, signal.SIGKILL)
        next_line(lines, r"^worker .*killed by SIGKILL; started again in 1 s")
        assert int(next_line(lines, r"working worker=\S+-(\d+)-")[1]) != worker
        rest = interrupted(stack, lines)
    assert re.search(r"worker .*drained.*server .*drained.*Drained; every delivery", rest, re.DOTALL), rest
    assert not (tmp_path / "redis" / "redis.sock").exists()


def test_a_drained_worker_stays_away_and_the_others_go_on(tmp_path: Path, environment: dict[str, str]) -> None:
    with up(tmp_path, environment | {"CLARION_LOG_LEVEL": "info"}, "--workers", "2") as (stack, lines):
        name = next_line(lines, r"working worker=(\S+)")[1]
        next_line(lines, r"Clarion is up")
        address = next_line(lines, r"gRPC +(\S+)")[1]
        asked = environment | {"CLARION_SERVER": address}
        drained = clarion("workers", "drain", name, environment=asked)
        assert drained == f"{name} drains, and ends then\n"
        next_line(lines, r"^worker-\d .*ended as it was told to; it is not started again")
        (left,) = json.loads(clarion("workers", "--output", "json", environment=asked))
        assert left["name"] != f"workers/{name}"
        rest = interrupted(stack, lines)
    assert "started again" not in rest
    assert "Drained; every delivery" in rest


@pytest.mark.timeout(900)  # it may have to wait for the README
@pytest.mark.usefixtures("usual_ports")
def test_metrics_are_where_it_says_and_a_stack_beside_takes_other_ports(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        wanted = {"CLARION_METRICS": f"127.0.0.1:{taken}"}
        with up(tmp_path / "unlucky", environment | wanted) as (stack, lines):
            assert f"CLARION_METRICS 127.0.0.1:{taken} can't be bound" in "".join(lines)
            assert stack.wait() == 1
    usual = environment.copy()
    del usual["CLARION_METRICS"], usual["CLARION_EDGE_LISTEN"]
    with up(tmp_path / "one", usual) as (first, words):
        found = [places(words)]
        with up(tmp_path / "two", usual) as (second, others):
            found.append(places(others))
            for what in ("Metrics", "Receipts"):
                assert found[0][what] != found[1][what]
            for where in found:
                with urllib.request.urlopen(where["Metrics"]) as answer:
                    assert 'clarion_workers{state="working"} 1.0' in answer.read().decode()
            interrupted(second, others)
        interrupted(first, words)
    with up(tmp_path / "off", environment | {"CLARION_METRICS": "off"}) as (stack, lines):
        assert "Metrics" not in next_block(lines)
        interrupted(stack, lines)


def places(lines: Iterator[str]) -> dict[str, str]:
    """The addresses of HTTP that it says once it is up, by what is there."""
    return dict(re.findall(r"^ +(\w+) +(http://127\.0\.0\.1:\d+/\w+)", next_block(lines), re.MULTILINE))


def next_block(lines: Iterator[str]) -> str:
    """Where everything is."""
    next_line(lines, r"Clarion is up")
    return "".join(iter(lambda: next(lines), "\n"))


def test_the_next_commands_work_and_nothing_hides_the_places(tmp_path: Path, environment: dict[str, str]) -> None:
    with up(tmp_path, environment) as (stack, lines):
        assert next(lines) == "\n"
        assert next(lines) == "Clarion is up. Ctrl-C drains it.\n", "nothing is logged before"
        page = next_line(lines, r"Mail +file://(\S+)")[1]
        shell = [
            next_line(lines, r"^  (\. \.venv/bin/activate && .+)")[1],
            next_line(lines, r"^  (clarion trigger .+)")[1],
            next_line(lines, r"^  (clarion apply .+)")[1],
            next_line(lines, r"^  (clarion trigger .+) \\$")[1] + next_line(lines, r"^   ( --webhook .+)")[1],
        ]
        for command in [" && ".join(shell).replace(".venv/bin", str(PROGRAMS))]:
            ran = subprocess.run(
                command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
            )
            assert ran.returncode == 0, ran.stdout + ran.stderr
        assert interrupted(stack, lines) == "\nDrained; every delivery in the store is accounted for.\n"
    mailbox = Mailbox(tmp_path / "mail")
    assert {channel: len(mailbox.files(channel)) for channel in SUFFIXES} == {
        Channel.EMAIL: 2,
        Channel.SMS: 1,
        Channel.PUSH: 1,
        Channel.WEBHOOK: 1,
    }
    assert "ana@example.com" in Path(page).read_text(encoding="utf-8")
    assert "Ready to accept connections" in (tmp_path / "log" / "redis.log").read_text(encoding="utf-8")


def test_what_is_still_open_is_said_at_the_end(tmp_path: Path, environment: dict[str, str]) -> None:
    nobody = {"CLARION_SMTP_HOST": "127.0.0.1", "CLARION_SMTP_PORT": "1"}
    with up(tmp_path, environment | nobody) as (stack, lines):
        address = next_line(lines, r"gRPC +(\S+)")[1]
        clarion = [str(PROGRAMS / "clarion")]
        for arguments in (
            ["apply", "examples/campaigns/order-confirmation", "--activate"],
            ["trigger", "order-confirmation", "--to", "ana@example.com", "--context", "@examples/context.json"],
        ):
            subprocess.run(clarion + arguments, cwd=ROOT, env=environment | {"CLARION_SERVER": address}, check=True)
        assert "Drained; deliveries still open in the store: 1. They go on when a worker is back." in interrupted(
            stack, lines
        )


def test_a_second_stack_in_the_same_place_is_refused_in_one_line(tmp_path: Path, environment: dict[str, str]) -> None:
    with up(tmp_path, environment) as (first, lines):
        next_line(lines, r"Clarion is up")
        with up(tmp_path, environment) as (second, words):
            [line] = words
            assert second.wait() == 1
        assert line.startswith(f"clarion-stack: Clarion is already up here (process {first.pid}): stop it with Ctrl-C")
        interrupted(first, lines)
