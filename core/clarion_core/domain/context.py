"""The context: what a campaign declares, whether given values fit, and the values templates see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from clarion_core.domain.campaign import ContextField, FieldType
from clarion_core.domain.errors import FieldProblem

# Names that templates get from Clarion itself; a campaign can't declare them.
RESERVED = frozenset({"recipient", "profile", "campaign"})
_SHOWN = 5  # declared names that an error about an unknown one lists


class ContextSchema:
    """The declared names of one campaign revision, ready to check and to resolve values."""

    def __init__(self, fields: Iterable[ContextField]) -> None:
        self.fields = {field.name: field for field in fields}
        self._required = [name for name, field in self.fields.items() if field.required]
        self._dates = frozenset(name for name, field in self.fields.items() if field.type is FieldType.DATE_TIME)
        self._defaults: dict[str, object] = dict.fromkeys(self.fields)
        self._defaults |= self._parsed(
            {name: field.default for name, field in self.fields.items() if field.has_default}
        )

    def problems(self, values: Mapping[str, object], path: str) -> list[FieldProblem]:
        """What is wrong with the given values: unknown names and wrong types, each under `path`."""
        found = []
        for name, value in values.items():
            field = self.fields.get(name)
            if field is None:
                found.append(FieldProblem(path=f"{path}.{name}", description=self._unknown(name)))
            elif wrong := wrong_type(field, value):
                found.append(FieldProblem(path=f"{path}.{name}", description=wrong))
        return found

    def missing(self, shared: Mapping[str, object], own: Mapping[str, object], path: str) -> list[FieldProblem]:
        """The required names that neither the shared nor the recipient's own values give."""
        return [
            FieldProblem(path=f"{path}.{name}", description=f"is required ({self.fields[name].type})")
            for name in self._required
            if shared.get(name) is None and own.get(name) is None
        ]

    def base(self, shared: Mapping[str, object]) -> dict[str, object]:
        """Defaults with the shared values over them, as templates see them."""
        return {**self._defaults, **self._parsed(shared)}

    def resolve(self, base: Mapping[str, object], own: Mapping[str, object]) -> dict[str, object]:
        """What one recipient's templates see: the base with the recipient's own values over it."""
        return {**base, **self._parsed(own)}

    def _parsed(self, values: Mapping[str, object]) -> dict[str, object]:
        """What is given, as templates see it; `None` means absent and hides nothing."""
        parsed = {name: value for name, value in values.items() if value is not None}
        for name in self._dates & parsed.keys():
            if isinstance(text := parsed[name], str):
                parsed[name] = datetime.fromisoformat(text)
        return parsed

    def _unknown(self, name: str) -> str:
        if not self.fields:
            return "is not declared; the campaign declares no context"
        shown = ", ".join(list(self.fields)[:_SHOWN]) + (", …" if len(self.fields) > _SHOWN else "")
        return f"is not declared; the campaign declares {shown}"


def wrong_type(field: ContextField, value: object) -> str:
    """What is wrong with a value for this field, or nothing. `None` fits an optional field: it means absent."""
    if value is None:
        return ""
    match field.type:
        case FieldType.STRING:
            fits = isinstance(value, str)
        case FieldType.NUMBER:
            fits = isinstance(value, int | float) and not isinstance(value, bool)
        case FieldType.BOOLEAN:
            fits = isinstance(value, bool)
        case FieldType.LIST:
            fits = isinstance(value, list)
        case FieldType.OBJECT:
            fits = isinstance(value, dict)
        case FieldType.DATE_TIME:
            return _wrong_date_time(value)
    return "" if fits else f"must be {_a(field.type)}, is {_a(kind_of(value))}"


def declaration_problems(fields: Iterable[ContextField], path: str) -> list[FieldProblem]:
    """What is wrong with a declaration: names taken or repeated, required with a default, a default that misfits."""
    found, seen = [], set[str]()
    for index, field in enumerate(fields):
        where = f"{path}[{index}]"
        if field.name in RESERVED:
            found.append(FieldProblem(path=f"{where}.name", description=f"'{field.name}' is given by Clarion itself"))
        if field.name in seen:
            found.append(FieldProblem(path=f"{where}.name", description=f"'{field.name}' is declared twice"))
        if field.required and field.has_default:
            found.append(FieldProblem(path=f"{where}.default", description="a required name can't have a default"))
        elif field.has_default and (wrong := wrong_type(field, field.default)):
            found.append(FieldProblem(path=f"{where}.default", description=wrong))
        seen.add(field.name)
    return found


def kind_of(value: object) -> str:
    """The JSON name of a value's type, for messages."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "string"
        case int() | float():
            return "number"
        case list():
            return "list"
        case _:
            return "object"


def _a(kind: str) -> str:
    return f"an {kind}" if kind == "object" else kind if kind == "null" else f"a {kind}"


def _wrong_date_time(value: object) -> str:
    if not isinstance(value, str):
        return f"must be a date-time like 2026-11-24T08:00:00Z, is {_a(kind_of(value))}"
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return "must be a date-time like 2026-11-24T08:00:00Z (RFC 3339)"
    return "" if parsed.tzinfo else "must be a date-time with an offset, like 2026-11-24T08:00:00Z"
