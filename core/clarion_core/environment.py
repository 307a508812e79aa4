"""Settings from the environment: read and checked, and complaints about them.

`load()` is the only door: a wrong value ends the process with one line that names the setting. No value is ever shown:
it may be a password, or hold one.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Mapping
from typing import Literal, TypeVar, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from clarion_core.settings import (
    PREFIX,
    SECRET_ENV_PREFIX,
    CoreSettings,
    EdgeSettings,
    ServerSettings,
    WorkerSettings,
)

OTHER_NAMES = frozenset({"CLARION_SERVER", "CLARION_WORKSPACE", "CLARION_PROTOS"})
"""What the command line, the clients and their examples read."""

TEST_PREFIX = "CLARION_TEST_"
"""What the tests read begins so."""

SettingsT = TypeVar("SettingsT", bound=CoreSettings)


def load(cls: type[SettingsT]) -> SettingsT:
    """Read and check the settings, or end the process: exit code 2, one line a wrong setting on stderr."""
    try:
        return cls()
    except ValidationError as error:
        for line in complaints(cls, error):
            sys.stderr.write(line + "\n")
        raise SystemExit(2) from None


def complaints(cls: type[CoreSettings], error: ValidationError) -> list[str]:
    """One line a wrong setting: its name in the environment, and what may stand there. Values are not shown."""
    return [
        f"{variable(str(problem['loc'][0]))}: must be {allowed(cls.model_fields[str(problem['loc'][0])])}"
        if problem["loc"]
        else problem["msg"]
        for problem in error.errors()
    ]


def variable(field: str) -> str:
    """The name of a setting in the environment."""
    return PREFIX + field.upper()


def allowed(field: FieldInfo) -> str:
    """What may stand in a setting, in words."""
    if isinstance(field.json_schema_extra, dict):
        return str(field.json_schema_extra["allowed"])
    if get_origin(field.annotation) is Literal:
        *most, last = get_args(field.annotation)
        return f"{', '.join(most)} or {last}"
    if field.annotation is bool:
        return "true or false"
    bounds = {name: getattr(rule, name) for rule in field.metadata for name in ("ge", "le") if hasattr(rule, name)}
    kind = "a whole number" if field.annotation is int else "a number"
    return f"{kind} from {bounds['ge']} to {bounds['le']}"


def unknown(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The `CLARION_*` names that no program of Clarion reads, each with the name that was probably meant, or ""."""
    fields = ServerSettings.model_fields.keys() | WorkerSettings.model_fields.keys() | EdgeSettings.model_fields.keys()
    known = {variable(field) for field in fields} | OTHER_NAMES
    free = (TEST_PREFIX, SECRET_ENV_PREFIX)
    strange = (
        name
        for name in environment
        if name.upper().startswith(PREFIX) and name.upper() not in known and not name.startswith(free)
    )
    bare = [name.removeprefix(PREFIX) for name in known]  # what all names share would make them look alike
    found = {name: difflib.get_close_matches(name.upper().removeprefix(PREFIX), bare, n=1) for name in strange}
    return {name: PREFIX + close[0] if close else "" for name, close in found.items()}
