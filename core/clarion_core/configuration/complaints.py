"""What is wrong with a configuration, in words and with its place; no value is shown."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from clarion_core.configuration.channels import ProviderPart
from clarion_core.configuration.part import TOLD
from clarion_core.environment import allowed


def complaints(error: ValidationError, root: type[BaseModel], words: str) -> list[tuple[str, str]]:
    """What is wrong with a configuration that was to be a `root`, `words` for short: paths and descriptions."""
    return [_complaint(problem, root, words) for problem in error.errors()]


def listed(names: Iterable[str], before_last: str = "or") -> str:
    """Names as people list them."""
    *most, last = names
    return f"{', '.join(most)} {before_last} {last}" if most else last


def _complaint(problem: ErrorDetails, root: type[BaseModel], words: str) -> tuple[str, str]:
    place, words, known = _place(problem["loc"], root, words)
    if problem["type"] == TOLD:
        return place, problem["msg"]
    if problem["type"] == "missing":
        return place, f"is missing; must be {words}"
    if problem["type"] == "extra_forbidden":
        return place, _unknown(str(problem["loc"][-1]), known)
    return place, f"must be {words}"


def _unknown(key: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return "is not known here; " + (f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}")


def _place(loc: Sequence[str | int], root: type[BaseModel], words: str) -> tuple[str, str, Sequence[str]]:
    """A place: its path, what may stand there in words, and the keys that are known beside it."""
    path = ""
    part: type[BaseModel] | None = root
    field: FieldInfo | None = None
    known: Sequence[str] = ()
    for step in loc:
        if isinstance(step, int):
            path += f"[{step}]"
            words = _element(part, field, words)
            continue
        path += f".{step}" if path else step
        known = list(part.model_fields) if part else ()
        field = part.model_fields.get(step) if part else None
        words = allowed(field) if field else words
        part = _part(field.annotation) if field else None
    return path, words, known


def _element(part: type[BaseModel] | None, field: FieldInfo | None, words: str) -> str:
    """What an element of a list must be; where it is neither a mapping nor text, `words` say so of the whole list."""
    if part is None:
        return "text" if field and get_args(field.annotation) == (str,) else words
    keys = "name and what kind it is" if issubclass(part, ProviderPart) else listed(part.model_fields, "and")
    return f"a mapping with {keys}"


def _part(annotation: Any) -> type[BaseModel] | None:
    """The mapping that a field holds, by itself, in a list, or perhaps."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_part, get_args(annotation))), None)
