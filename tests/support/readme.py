"""Runs the commands of a README the way a reader does: top to bottom, in one shell, in a fresh clone.

What counts is what stands in fenced ```console blocks on lines that start with `$ `; other lines there are output, but
for those that end a command begun above (an open quote, a backslash at the end). A command in FOREGROUND runs in "a
terminal of its own" from where it stands to the end; the next command waits for its READY line. What is in LEFT_OUT
is not run.
"""

from __future__ import annotations

import os
import re
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from support import grpcurl

FOREGROUND = {"make up": "Ctrl-C drains it"}
LEFT_OUT = {"make test"}  # it is what runs this
COMMAND_S, READY_S, END_S = 400.0, 60.0, 60.0
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = "--- exit code "


def commands(markdown: str) -> list[str]:
    """The commands of a README, in order."""
    found = []
    for block in _BLOCK.findall(markdown):
        lines = iter(block.splitlines())
        found += [_whole(line[2:], lines) for line in lines if line.startswith("$ ")]
    return found


def _whole(command: str, rest: Iterator[str]) -> str:
    while not _ends(command):
        command += "\n" + next(rest).removeprefix("> ")
    return command


def _ends(command: str) -> bool:
    try:
        shlex.split(command)
    except ValueError:  # an open quote, or nothing behind a backslash
        return False
    return not command.endswith("\\")


class Terminal:
    """A shell in a process group of its own; killed on leaving."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._shell = subprocess.Popen(
            ["/bin/bash", "--noprofile", "--norc"],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        self._output = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._shell, suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGKILL)

    def run(self, command: str, within_s: float = COMMAND_S) -> str:
        """Run a command to its end; what it printed. AssertionError if it fails or takes longer."""
        self.begin(f"{{ {command}\n}} </dev/null\nprintf '\\n{_MARK}%d\\n' $?")
        output = self.wait_for(_MARK, within_s)
        code = output.rpartition(_MARK)[2].strip()
        assert code == "0", f"$ {command}\n{output}"
        return output.rpartition("\n" + _MARK)[0]

    def begin(self, command: str) -> None:
        """Type a command, and do not wait."""
        assert self._shell.stdin
        self._output = b""
        self._shell.stdin.write(command.encode() + b"\n")
        self._shell.stdin.flush()

    def wait_for(self, words: str, within_s: float) -> str:
        """What was printed since the last command, once a line with these words is whole."""
        pattern = re.compile(re.escape(words.encode()) + rb".*\n")
        deadline = time.monotonic() + within_s
        while not pattern.search(self._output):
            assert self._reads(deadline), f"no {words!r} within {within_s:g} s:\n{self._shown}"
        return self._shown

    def interrupt(self) -> None:
        """Ctrl-C, and wait for the end of all that runs here; AssertionError if it takes a minute."""
        os.killpg(self._shell.pid, signal.SIGINT)
        deadline = time.monotonic() + END_S
        while self._reads(deadline):  # whatever still runs holds the other end
            continue
        assert time.monotonic() < deadline, f"still there after Ctrl-C:\n{self._shown}"

    def _reads(self, deadline: float) -> bool:
        """Take more output; False where there is none any more, or none in time."""
        assert self._shell.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(self._shell.stdout, selectors.EVENT_READ)
            ready = selector.select(max(0.0, deadline - time.monotonic()))
        more = os.read(self._shell.stdout.fileno(), 65_536) if ready else b""
        self._output += more
        return bool(more)

    @property
    def _shown(self) -> str:
        return self._output.decode(errors="replace")


def follow(repository: Path, readme: str, folder: Path) -> dict[str, str]:
    """Run the README of the repository's last commit in a clone below `folder`; what each command printed.

    The environment is empty but for HOME, an empty folder, and PATH: Python, grpcurl, and the system's programs.
    """
    home, clone, programs = folder / "home", folder / "clone", folder / "bin"
    home.mkdir()
    programs.mkdir()
    grpcurl.install(programs)
    git = shutil.which("git") or "git"
    subprocess.run([git, "clone", "--quiet", str(repository), str(clone)], check=True, timeout=60)
    python = Path(sys.base_prefix) / "bin"
    environment = {"HOME": str(home), "PATH": f"{programs}:{python}:/usr/bin:/bin"}
    printed = {}
    with ExitStack() as terminals:
        terminal = terminals.enter_context(Terminal(clone, environment))
        for command in commands((clone / readme).read_text("utf-8")):
            if command in LEFT_OUT:
                continue
            if ready := FOREGROUND.get(command):
                other = terminals.enter_context(Terminal(clone, environment))
                terminals.callback(other.interrupt)
                other.begin(f"exec {command} </dev/null")
                printed[command] = other.wait_for(ready, READY_S)
            else:
                printed[command] = terminal.run(command)
    return printed
