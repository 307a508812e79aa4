from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

SECRET = "canary4711"
# The value is put together, so that the line of code in a traceback does not hold it.
FAILS = """
import logging, sys
from clarion_core import logs
from clarion_core.settings import CoreSettings
logs.configure(CoreSettings(log_format=sys.argv[1]), process="test")
def fail():
    password = "canary" + str(4711)
    raise RuntimeError("the defect")
try:
    fail()
except RuntimeError:
    if sys.argv[2] == "ours":
        logs.get("test").exception("it_failed")
    else:
        logging.getLogger("arq").exception("it_failed")
"""


def logged(log_format: str, whose: str) -> str:
    command = [sys.executable, "-c", FAILS, log_format, whose]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


@pytest.mark.parametrize("whose", ["ours", "a library's"])
@pytest.mark.parametrize("log_format", ["json", "pretty"])
def test_a_logged_exception_shows_where_it_came_from_and_no_value(log_format: str, whose: str) -> None:
    shown = logged(log_format, whose)
    assert "it_failed" in shown
    assert "RuntimeError: the defect" in shown
    assert "in fail" in shown
    assert SECRET not in shown


@pytest.mark.parametrize("whose", ["ours", "a library's"])
def test_a_json_log_has_one_object_a_line(whose: str) -> None:
    entries: list[dict[str, Any]] = [json.loads(line) for line in logged("json", whose).splitlines()]
    assert [(entry["event"], entry["level"], entry["process"]) for entry in entries] == [("it_failed", "error", "test")]
