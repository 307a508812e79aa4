"""A file of triggers: one CreateTrigger a line, many at a time, safe to run again."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from clarion.v1.trigger_service_pb2 import CreateTriggerResponse
from clarion_client import Clarion, InvalidArgument
from clarion_client.cli.problems import BadInput
from clarion_client.cli.times import instant
from clarion_client.cli.together import together

CONCURRENCY = 32
LINE_TIMEOUT_S = 60.0
"""A line waits so long for a busy or restarting server before the run ends."""
_NAMESPACE = uuid.UUID("6f1a8d0e-3c5b-5d0a-9a55-c1a210000001")
_KEYS = frozenset({"recipients", "context", "expire_time", "ordering_key", "all_or_nothing"})
_POSITION = re.compile(r"^recipients\[\d+\]\.?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the file. `problem` is set where it can't be sent."""

    number: int
    request_id: str
    body: Mapping[str, Any]
    expire_time: datetime | None = None
    problem: str = ""

    @property
    def places(self) -> frozenset[tuple[str, str]]:
        """Where it stands in line: its ordering key, with each of its user ids."""
        key: str = self.body.get("ordering_key", "")
        people = [each.get("user_id") for each in self.body["recipients"] if isinstance(each, dict)]
        return frozenset((key, str(person)) for person in people if key)


@dataclass(slots=True)
class Tally:
    """What became of the lines so far: `lines`, `triggered` and `replayed` count lines, the others recipients.

    Of a run that only checks, `triggered` and `accepted` are what would be, and `triggers` stays empty.
    """

    lines: int = 0
    triggered: int = 0
    accepted: int = 0
    refused: int = 0
    replayed: int = 0
    triggers: list[str] = field(default_factory=list)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    first_line: dict[tuple[str, str], int] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def answered(self, line: Line, answer: CreateTriggerResponse) -> None:
        """The line was accepted, perhaps without some of its recipients."""
        self.lines += 1
        self.triggered += 1
        self.replayed += answer.replayed
        self.accepted += answer.trigger.counts.accepted
        self.refused += len(answer.trigger.refusals)
        if answer.trigger.name:
            self.triggers.append(answer.trigger.name)
        for refusal in answer.trigger.refusals:
            for violation in refusal.violations:
                self._because(line, violation.field, violation.description)

    def refuse(self, line: Line, problems: list[tuple[str, str]]) -> None:
        """Nothing of the line was accepted."""
        self.lines += 1
        recipients = line.body.get("recipients")
        self.refused += len(recipients) if isinstance(recipients, list) and recipients else 1
        for path, description in problems:
            self._because(line, path, description)

    def _because(self, line: Line, path: str, description: str) -> None:
        field = _POSITION.sub("", path)
        if path and not field:  # on the recipient itself: how many more there are
            return
        reason = (field, description)
        self.reasons[reason] += 1
        self.first_line[reason] = min(line.number, self.first_line.get(reason, line.number))

    def ranked(self) -> list[tuple[tuple[str, str], int]]:
        """The reasons and how often they came, the most frequent first."""
        return sorted(self.reasons.items(), key=lambda item: (-item[1], self.first_line[item[0]]))

    def as_dict(self) -> dict[str, Any]:
        """The summary for scripts."""
        reasons = [
            {"field": path, "description": text, "count": count, "first_line": self.first_line[path, text]}
            for (path, text), count in self.ranked()
        ]
        return {
            "lines": self.lines,
            "accepted": self.accepted,
            "refused": self.refused,
            "replayed": self.replayed,
            "elapsed_s": round(time.monotonic() - self.started, 3),
            "reasons": reasons,
            "triggers": self.triggers,
        }


def request_id(path: Path, number: int, content: str, run_id: str = "") -> str:
    """The same for the same line of the same file in the same run, so that a repeat is a replay, not a trigger.

    The file is known by its resolved path, the line by its number from 1 and its content without the blanks around it.
    """
    digest = hashlib.sha256(content.encode()).hexdigest()
    parts = [str(path.resolve()), str(number), digest, *([run_id] if run_id else [])]
    return str(uuid.uuid5(_NAMESPACE, "\n".join(parts)))


def count_lines(path: Path) -> int:
    """Lines that hold something. BadInput where the file can't be read."""
    try:
        with path.open(encoding="utf-8") as file:
            return sum(1 for line in file if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from None


def read_lines(path: Path, *, run_id: str = "") -> Iterator[Line]:
    """The lines of the file, as those of this run."""
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            content = text.strip()
            if content:
                yield _line(number, request_id(path, number, content, run_id), content)


def _line(number: int, request_id: str, content: str) -> Line:
    line = Line(number=number, request_id=request_id, body={})
    try:
        body = json.loads(content)
    except ValueError as error:
        return replace(line, problem=f"not JSON: {error}")
    if not isinstance(body, dict) or not isinstance(body.get("recipients"), list):
        return replace(line, problem='must be a JSON object with a list "recipients"')
    line = replace(line, body=body)
    if unknown := sorted(body.keys() - _KEYS):
        return replace(line, problem=f"unknown key {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}")
    if not isinstance(body.get("ordering_key", ""), str):
        return replace(line, problem='"ordering_key" must be text')
    try:
        return replace(line, expire_time=instant(body["expire_time"]) if "expire_time" in body else None)
    except ValueError as error:
        return replace(line, problem=f'"expire_time": {error}')


class Run:
    """Triggers the lines, `CONCURRENCY` at a time; with `check` the server only says what it would answer.

    Lines of one ordering key and user id are accepted in the order of the file: each waits for the one before it.
    """

    def __init__(
        self, clarion: Clarion, campaign: str, advance: Callable[[Tally], None], *, check: bool = False
    ) -> None:
        self._clarion = clarion
        self._campaign = campaign
        self._advance = advance
        self._check = check
        self._last: dict[tuple[str, str], asyncio.Event] = {}  # by place in line: the last line there was answered
        self.tally = Tally()

    async def send(self, lines: Iterator[Line]) -> Tally:
        """What became of all lines. An error that the next line would meet too ends the run and is raised."""
        await together(CONCURRENCY, lambda: self._sender(lines))
        return self.tally

    async def _sender(self, lines: Iterator[Line]) -> None:
        for line in lines:
            await self._send_in_turn(line)
            self._advance(self.tally)

    async def _send_in_turn(self, line: Line) -> None:
        places = frozenset() if line.problem else line.places
        before = {self._last[place] for place in places if place in self._last}
        answered = asyncio.Event()
        self._last |= dict.fromkeys(places, answered)
        for event in before:
            await event.wait()
        await self._send_one(line)
        answered.set()  # not after an error: it ends the run, and nobody may overtake the line before that
        for place in places:
            if self._last[place] is answered:
                del self._last[place]

    async def _send_one(self, line: Line) -> None:
        if line.problem:
            self.tally.refuse(line, [("", line.problem)])
            return
        try:
            answer = await self._clarion.create_trigger(
                self._campaign,
                line.body["recipients"],
                line.body.get("context"),
                expire_time=line.expire_time,
                ordering_key=line.body.get("ordering_key", ""),
                request_id=line.request_id,
                all_or_nothing=bool(line.body.get("all_or_nothing")),
                validate_only=self._check,
                timeout_s=LINE_TIMEOUT_S,
            )
        except InvalidArgument as error:
            self.tally.refuse(line, [(each.field, each.description) for each in error.violations] or [("", str(error))])
        except ValueError as error:
            self.tally.refuse(line, [("", str(error))])
        else:
            self.tally.answered(line, answer)
