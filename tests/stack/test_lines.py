from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from clarion_stack.lines import Terminal


@pytest.mark.parametrize(("least", "shown"), [("debug", 5), ("warning", 3), ("error", 2)])
def test_log_lines_of_less_weight_are_left_out_and_other_lines_are_not(least: str, shown: int) -> None:
    console = Console(file=io.StringIO(), width=200)
    terminal = Terminal(console, least)
    for level in ("debug", "info", "warning", "error"):
        terminal("server", json.dumps({"event": "happened", "level": level, "trigger": "t-1"}))
    terminal("server", "Traceback (most recent call last):")
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert len(lines) == shown
    assert lines[0].startswith("server    │ happened trigger=t-1")
    assert lines[-1] == "server    │ Traceback (most recent call last):"
