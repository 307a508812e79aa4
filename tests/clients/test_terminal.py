"""What a person at a terminal sees: colours, progress, a live account."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
from collections.abc import Callable
from pathlib import Path

from clients.conftest import command_line
from clients.scripted_server import Script, Silence
from clients.test_cli import CAMPAIGN, TRIGGER, ListCampaignsResponse, watched
from clients.test_trigger_files import accept, order, write


class Terminal:
    """A command that runs in a terminal of 100 columns. Everything it wrote so far is in `screen`."""

    def __init__(self, process: asyncio.subprocess.Process, fd: int) -> None:
        self.process = process
        self.screen = ""
        self._fd = fd
        self._wrote = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(fd, self._read)

    def _read(self) -> None:
        try:
            self.screen += os.read(self._fd, 65536).decode(errors="replace")
        except OSError:  # how a terminal says that the last writer closed it
            self._loop.remove_reader(self._fd)
        self._wrote.set()

    async def until(self, seen: Callable[[str], bool]) -> None:
        while not seen(self.screen):
            self._wrote.clear()
            await self._wrote.wait()

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    async def ended(self) -> int:
        code = await self.process.wait()
        self._loop.remove_reader(self._fd)
        os.set_blocking(self._fd, False)
        self._read()
        os.close(self._fd)
        return code


async def start(environment: dict[str, str], *arguments: str | Path, **more: str) -> Terminal:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *command_line(*arguments),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"} | more,
    )
    os.close(theirs)
    return Terminal(process, ours)


async def test_states_are_coloured_unless_no_color_is_set(script: Script, cli_environment: dict[str, str]) -> None:
    script.on("ListCampaigns", ListCampaignsResponse(campaigns=[CAMPAIGN]))
    coloured = await start(cli_environment, "campaigns", "list")
    assert await coloured.ended() == 0
    assert "\x1b[32mLIVE" in coloured.screen
    plain = await start(cli_environment, "campaigns", "list", NO_COLOR="1")
    assert await plain.ended() == 0
    assert "\x1b[32m" not in plain.screen
    assert "LIVE" in plain.screen


async def test_a_file_has_a_progress_bar(script: Script, cli_environment: dict[str, str], tmp_path: Path) -> None:
    script.on("CreateTrigger", accept)
    lines = [*(order(n) for n in range(40)), order(1) | {"context": {}}]
    path = write(tmp_path / "orders.jsonl", lines)
    terminal = await start(cli_environment, "trigger", "welcome", "--file", path)
    assert await terminal.ended() == 1
    assert "triggered" in terminal.screen
    assert "41/41" in terminal.screen
    assert "1 refused" in terminal.screen


async def test_a_watch_shows_the_account_live_and_ends_on_ctrl_c(
    script: Script, cli_environment: dict[str, str]
) -> None:
    script.on("WatchTrigger", [*watched(accepted=2, in_flight=1, sent=1), Silence()])
    terminal = await start(cli_environment, "watch", TRIGGER)
    await terminal.until(lambda screen: "1/2" in screen)
    terminal.process.send_signal(signal.SIGINT)
    assert await terminal.ended() == 130
    assert "accepted 2" in terminal.screen
    assert "watch it again with" in terminal.screen
    assert "Traceback" not in terminal.screen
