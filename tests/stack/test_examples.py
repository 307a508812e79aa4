"""The parcels of the demo are what their program makes, and right or wrong as it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_parcels_are_what_their_program_makes() -> None:
    command = [sys.executable, "make_parcels.py", "--check"]
    assert subprocess.run(command, cwd=EXAMPLES, check=False).returncode == 0, "run python examples/make_parcels.py"


def test_people_are_reached_in_every_way_that_there_is() -> None:
    lines = (EXAMPLES / "parcels.jsonl").read_text("utf-8").splitlines()
    people = [recipient for line in lines for recipient in json.loads(line)["recipients"]]
    ways = [{*each["addresses"], *(device["platform"] for device in each.get("devices", ()))} for each in people]
    assert {"email", "sms", "webhook", "fcm"} in ways
    for alone in ({"email"}, {"sms"}, {"fcm"}):
        assert alone in ways
    assert max(len(each.get("devices", ())) for each in people) == 2
