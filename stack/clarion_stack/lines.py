"""What the programs of the stack write, for people and in files."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, Self, TextIO

from rich.console import Console
from rich.text import Text

NAME_WIDTH = 9
COLOURS = ("cyan", "green", "magenta", "yellow", "blue")
SEVERE = {"warning": "yellow", "error": "red", "critical": "red"}
LEVELS = logging.getLevelNamesMapping()
NOT_SHOWN = frozenset({"event", "level", "timestamp", "process", "module"})


class Terminal:
    """Shows lines with their program's name in front; a JSON log line is shown as text, from the level `least` on."""

    def __init__(self, console: Console, least: str = "debug") -> None:
        self._console = console
        self._least = LEVELS[least.upper()]
        self._colours: dict[str, str] = {}

    def __call__(self, name: str, line: str) -> None:
        """Show one line, or nothing where it is a log line of less weight."""
        entry = _entry(line)
        if entry is not None and LEVELS.get(str(entry.get("level")).upper(), self._least) < self._least:
            return
        colour = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
        text = Text(f"{name:<{NAME_WIDTH}}", colour).append(" │ ", "dim").append_text(readable(line))
        self._console.print(text, soft_wrap=True)


class LogFiles:
    """Keeps each program's lines in a file of its own, from now on: what an earlier run left is replaced."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self._files: dict[str, TextIO] = {}

    def __call__(self, name: str, line: str) -> None:
        """Keep one line."""
        if name not in self._files:
            self._files[name] = (self.directory / f"{name}.log").open("w", encoding="utf-8")
        print(line, file=self._files[name], flush=True)

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()


def readable(line: str) -> Text:
    """A line as people read it: `12:04:01 accepted trigger=… recipients=3` for a JSON log line, else as it is."""
    entry = _entry(line)
    if entry is None:
        return Text(line)
    time = str(entry.get("timestamp", "")).partition("T")[2][:8]
    text = Text(f"{time} " if time else "", "dim").append(str(entry["event"]), SEVERE.get(str(entry.get("level")), ""))
    for key, value in entry.items():
        if key not in NOT_SHOWN:
            text.append(f" {key}=", "dim").append(str(value), "default")
    return text


def _entry(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "event" in entry else None
