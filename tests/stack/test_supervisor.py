from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from clarion_stack.child import Backoff, Program
from clarion_stack.errors import StackError
from clarion_stack.supervisor import Supervisor, interruptible

SAYS_IT_IS_UP = "import json, signal, sys, time\nprint(json.dumps({'event': 'up'}), flush=True)\n"
WAITS_FOR_SIGTERM = SAYS_IT_IS_UP + "signal.sigwait([signal.SIGTERM])\nprint('bye', flush=True)"
BLOCKS_SIGTERM = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
IGNORES_SIGTERM = BLOCKS_SIGTERM + SAYS_IT_IS_UP + "signal.pause()"


def program(name: str, code: str, ready: str | Callable[[], bool] = "up", drain_s: float = 10) -> Program:
    if "sigwait" in code:
        code = BLOCKS_SIGTERM + code
    return Program(name=name, command=[sys.executable, "-S", "-c", code], ready=ready, drain_s=drain_s)


class Written:
    """The lines that were written, and a wait for one."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self._changed = asyncio.Event()

    def __call__(self, name: str, line: str) -> None:
        self.lines.append((name, line))
        self._changed.set()

    def of(self, text: str) -> list[str]:
        return [name for name, line in self.lines if text in line]

    async def until(self, text: str, times: int = 1) -> None:
        while len(self.of(text)) < times:
            self._changed.clear()
            await self._changed.wait()


async def test_a_dead_program_is_started_again_with_a_growing_pause() -> None:
    written = Written()
    backoff = Backoff(first_s=0.01, longest_s=0.04, healthy_s=60)
    async with Supervisor([[program("fickle", SAYS_IT_IS_UP + "sys.exit(3)")]], written, backoff):
        await written.until("started again", times=5)
    pauses = [line for _, line in written.lines if "started again" in line]
    assert pauses[:5] == [f"ended with exit code 3; started again in {s} s" for s in (0.01, 0.02, 0.04, 0.04, 0.04)]


async def test_a_killed_program_is_running_again_under_a_new_pid() -> None:
    written = Written()
    async with Supervisor([[program("worker", WAITS_FOR_SIGTERM)]], written, Backoff(first_s=0.01)) as supervisor:
        first = supervisor.pid("worker")
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await written.until('"up"', times=2)
        assert supervisor.pid("worker") not in (None, first)
    assert ("worker", "killed by SIGKILL; started again in 0.01 s") in written.lines


async def test_a_program_that_may_end_is_left_alone_when_it_ended_well_and_only_then() -> None:
    written = Written()
    programs = [replace(program(name, WAITS_FOR_SIGTERM), may_end=True) for name in ("told", "killed")]
    async with Supervisor([programs], written, Backoff(first_s=0.01)) as supervisor:
        for name, number in (("told", signal.SIGTERM), ("killed", signal.SIGKILL)):
            pid = supervisor.pid(name)
            assert pid is not None
            os.kill(pid, number)
        await written.until("not started again")
        await written.until('"up"', times=3)
        assert supervisor.pid("told") is None
        assert supervisor.pid("killed") is not None
    said = [(name, line) for name, line in written.lines if "started again" in line]
    assert sorted(said) == [
        ("killed", "killed by SIGKILL; started again in 0.01 s"),
        ("told", "ended as it was told to; it is not started again"),
    ]


@pytest.mark.parametrize(
    ("last_s", "healthy_for_s", "next_s"), [(0, 0, 1), (1, 5, 2), (16, 59, 30), (30, 0, 30), (30, 60, 1)]
)
def test_the_pause_doubles_up_to_a_bound_and_starts_over_after_good_health(
    last_s: float, healthy_for_s: float, next_s: float
) -> None:
    assert Backoff().next_s(last_s, healthy_for_s) == next_s


async def test_stages_start_in_order_and_drain_in_reverse() -> None:
    written = Written()
    stages = [[program("store", WAITS_FOR_SIGTERM)], [program("server", WAITS_FOR_SIGTERM)]]
    stages.append([program("worker-1", WAITS_FOR_SIGTERM), program("worker-2", WAITS_FOR_SIGTERM)])
    async with Supervisor(stages, written) as supervisor:
        pids = [supervisor.pid(each.name) for stage in stages for each in stage]
    ups, byes = written.of('"up"'), written.of("bye")
    assert ups[:2] == ["store", "server"]
    assert sorted(ups[2:]) == ["worker-1", "worker-2"]
    assert sorted(byes[:2]) == ["worker-1", "worker-2"]
    assert byes[2:] == ["server", "store"]
    for pid in pids:
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_program_that_does_not_end_is_killed_after_its_time() -> None:
    async with Supervisor([[program("stubborn", IGNORES_SIGTERM, drain_s=0.05)]], Written()) as supervisor:
        pid = supervisor.pid("stubborn")
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_program_that_does_not_come_up_takes_the_others_down_and_says_why() -> None:
    written = Written()
    stages = [[program("store", WAITS_FOR_SIGTERM)], [program("server", "print('no port'); raise SystemExit(2)")]]
    with pytest.raises(StackError, match="server did not start: no port"):
        async with Supervisor(stages, written):
            pytest.fail("it came up")
    assert written.of("bye") == ["store"]


async def test_a_question_can_say_that_a_program_is_ready(tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    code = f"import signal\nopen({str(sign)!r}, 'w').close()\nsignal.sigwait([signal.SIGTERM])"
    async with Supervisor([[program("silent", code, ready=sign.exists)]], Written()):
        assert sign.exists()


async def test_lines_are_forwarded_whole_and_none_is_too_long() -> None:
    written = Written()
    code = SAYS_IT_IS_UP + "print('é' * 70_000)\nprint('x' * 2_000_000)\nprint('last', flush=True)\nsignal.pause()"
    async with Supervisor([[program("chatty", code)]], written):
        await written.until("last")
    assert ("chatty", "é" * 70_000) in written.lines


async def test_a_programs_lines_can_go_elsewhere_and_what_is_said_about_it_does_not() -> None:
    written, elsewhere = Written(), Written()
    talks = replace(program("fickle", SAYS_IT_IS_UP + "sys.exit(3)"), output=elsewhere)
    async with Supervisor([[talks]], written, Backoff(first_s=0.01)):
        await written.until("started again")
    assert elsewhere.of('"up"')
    assert not written.of('"up"')


async def test_an_interrupt_drains_and_a_second_one_ends_everything_at_once() -> None:
    written = Written()
    up = asyncio.Event()

    async def stack() -> None:
        supervisor = Supervisor([[program("stubborn", IGNORES_SIGTERM, drain_s=3600)]], written)
        with interruptible(supervisor.kill):
            async with supervisor:
                up.set()
                await asyncio.Event().wait()

    running = asyncio.create_task(stack())
    await up.wait()
    os.kill(os.getpid(), signal.SIGINT)
    _, pending = await asyncio.wait({running}, timeout=0.1)
    assert pending, "the first interrupt drains, which this program does not do"
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(asyncio.CancelledError):
        await running


LAUNCHER = """
import asyncio, json, sys
from clarion_stack.child import Program
from clarion_stack.supervisor import Supervisor
async def main():
    program = Program(name="worker", command=json.loads(sys.argv[1]), ready="up")
    async with Supervisor([[program]], lambda name, line: None) as supervisor:
        print(supervisor.pid("worker"), flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


def test_no_program_outlives_a_supervisor_that_was_killed() -> None:
    command = [sys.executable, "-c", LAUNCHER, json.dumps(list(program("worker", WAITS_FOR_SIGTERM).command))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as launcher:
        assert launcher.stdout is not None
        orphan = os.pidfd_open(int(launcher.stdout.readline()))
        launcher.send_signal(signal.SIGKILL)
    assert select.select([orphan], [], [], 20)[0], "the program still runs"
    os.close(orphan)
