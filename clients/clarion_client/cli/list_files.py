"""CSV files of suppressions and allow lists: read line by line, each with its number, and written.

Columns are found by their names in the first line, in any order and case: channel, type (`address` or `domain`), value,
reason, comment, source, expire_time. Adobe Journey Optimizer's files (TYPE, VALUE, COMMENT, where the type of an
address is EMAIL) are read as they are.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TextIO

from google.protobuf.timestamp_pb2 import Timestamp

from clarion.v1.suppression_pb2 import AllowedEntry, ListTarget, Suppression
from clarion_client.cli.problems import BadInput
from clarion_client.cli.times import instant
from clarion_client.cli.views import word
from clarion_client.values import to_timestamp

CHANNELS = ("email", "sms", "push", "webhook")
COLUMNS = ("channel", "type", "value", "reason", "comment", "source", "expire_time")
COMMENT_MAX, VALUE_MAX, DOMAIN_MAX = 200, 2_048, 253
SOURCE, SOURCE_RULE = "[A-Za-z0-9._:/@-]{0,64}", "a source is up to 64 letters, digits and . _ : / @ -"
REASONS = {word(Suppression.Reason, number).lower(): number for number in Suppression.Reason.values() if number}
_TYPES = {"": "", "address": "address", "email": "address", "domain": "domain"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What holds for a row that does not say it. A reason of 0 is left to the server."""

    channel: str
    reason: int = 0
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the file. `problem` is set where it can't be sent."""

    line: int
    entry: Suppression
    problem: str = ""


def read_rows(path: Path, defaults: Defaults) -> Iterator[Row]:
    """The rows of a file.

    BadInput where the file can't be read, or its first line names no column `value`, or one that there is not.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _rows(path, file, defaults)
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from None


def _rows(path: Path, file: TextIO, defaults: Defaults) -> Iterator[Row]:
    reader = csv.reader(file)
    columns = [name.strip().lower() for name in next(reader, [])]
    unknown = [name for name in columns if name not in COLUMNS]
    if "value" not in columns or unknown or len(set(columns)) < len(columns):
        wrong = f"{unknown[0]!r} is no column" if unknown else "a column `value` is missing, or one is there twice"
        raise BadInput(f"{path}:1: {wrong}; known are {', '.join(COLUMNS)}")
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield _row(reader.line_num, columns, cells, defaults)
    except csv.Error as error:
        raise BadInput(f"{path}:{reader.line_num}: not CSV: {error}") from None


def _row(line: int, columns: list[str], cells: list[str], defaults: Defaults) -> Row:
    if len(cells) > len(columns):
        problem = f"has {len(cells)} cells, and the first line names {len(columns)}"
        return Row(line=line, entry=Suppression(), problem=problem)
    given = {name: cell.strip() for name, cell in zip(columns, cells, strict=False)}
    try:
        return Row(line=line, entry=_entry(given, defaults))
    except ValueError as error:
        return Row(line=line, entry=Suppression(), problem=str(error))


def _entry(given: Mapping[str, str], defaults: Defaults) -> Suppression:
    channel = given.get("channel", "").lower() or defaults.channel
    if channel not in CHANNELS:
        raise ValueError(f"channel: is not one of {', '.join(CHANNELS)}")
    named = given.get("reason", "").lower().replace("-", "_")
    if named and named not in REASONS:
        raise ValueError(f"reason: is not one of {', '.join(REASONS)}")
    comment, source = given.get("comment", ""), given.get("source", "") or defaults.source
    if not re.fullmatch(SOURCE, source):
        raise ValueError(f"source: {SOURCE_RULE}")
    if len(comment) > COMMENT_MAX:
        raise ValueError(f"comment: has more than {COMMENT_MAX} characters")
    return Suppression(
        target=_target(channel, given),
        reason=Suppression.Reason.ValueType(REASONS.get(named, defaults.reason)),
        comment=comment,
        source=source,
        expire_time=_time(given.get("expire_time", "")),
    )


def _target(channel: str, given: Mapping[str, str]) -> ListTarget:
    kind, value = _TYPES.get(given.get("type", "").lower()), given.get("value", "")
    if kind is None:
        raise ValueError("type: is not one of address, domain")
    if not 0 < len(value) <= VALUE_MAX:
        raise ValueError(f"value: must have 1 to {VALUE_MAX:,} characters")
    if value.startswith("@") and kind in ("", "domain"):
        kind, value = "domain", value[1:]
    if kind == "domain" and len(value) > DOMAIN_MAX:
        raise ValueError(f"value: a domain has at most {DOMAIN_MAX} characters")
    return ListTarget(channel=channel, **{kind or "address": value})


def _time(text: str) -> Timestamp | None:
    try:
        return to_timestamp(instant(text), "expire_time") if text else None
    except ValueError as error:
        raise ValueError(f"expire_time: {error}") from None


def write_row(writer: csv.Writer, entry: Suppression | AllowedEntry) -> None:  # type: ignore[name-defined]  # what csv.writer makes
    """One entry as a line of the file."""
    kind = entry.target.WhichOneof("kind") or "address"
    until = entry.expire_time.ToDatetime(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if entry.HasField("expire_time") else ""
    reason = word(Suppression.Reason, entry.reason).lower() if isinstance(entry, Suppression) else ""
    cells = (entry.target.channel, kind, getattr(entry.target, kind), reason, entry.comment, entry.source, until)
    writer.writerow(cells)
