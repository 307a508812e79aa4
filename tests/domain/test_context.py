"""The declared context: what fits, what is missing, and what templates see."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion_core.domain.campaign import ContextField, FieldType
from clarion_core.domain.context import RESERVED, ContextSchema, declaration_problems, kind_of, wrong_type
from clarion_core.domain.errors import FieldProblem

MOMENT = "2026-11-24T08:00:00Z"
VALUES: dict[FieldType, list[object]] = {
    FieldType.STRING: ["", "ada", MOMENT],
    FieldType.NUMBER: [0, -1.5, 10**30],
    FieldType.BOOLEAN: [True, False],
    FieldType.DATE_TIME: [MOMENT, "2026-11-24T08:00:00+01:00", "2026-11-24T08:00:00.123456-05:30"],
    FieldType.LIST: [[], [1, "two", None]],
    FieldType.OBJECT: [{}, {"a": {"b": 1}}],
}
FITTING = [(kind, value) for kind, values in VALUES.items() for value in values]
MISFITTING = [
    (kind, value)
    for kind, (other, value) in product(FieldType, FITTING)
    if kind is not other and not (kind in (FieldType.STRING, FieldType.DATE_TIME) and isinstance(value, str))
]


def a_field(name: str = "order", kind: FieldType = FieldType.STRING, **changes: Any) -> ContextField:
    return ContextField(name=name, type=kind, **changes)


@pytest.mark.parametrize(("kind", "value"), FITTING)
def test_a_value_of_the_declared_type_fits(kind: FieldType, value: object) -> None:
    assert wrong_type(a_field(kind=kind), value) == ""


@pytest.mark.parametrize(("kind", "value"), MISFITTING)
def test_a_value_of_another_type_is_named(kind: FieldType, value: object) -> None:
    wrong = wrong_type(a_field(kind=kind), value)
    assert wrong.endswith(f" {kind_of(value)}")
    assert kind.value in wrong


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-13-01T00:00:00Z", "2026-11-24T08:00:00", "2026-11-24"])
def test_a_date_time_needs_a_date_a_time_and_an_offset(text: str) -> None:
    assert "2026-11-24T08:00:00Z" in wrong_type(a_field(kind=FieldType.DATE_TIME), text)


@given(st.datetimes(timezones=st.timezones()))
def test_every_moment_in_rfc_3339_is_read_back(moment: datetime) -> None:
    moment = moment.astimezone(UTC)
    schema = ContextSchema([a_field("at", FieldType.DATE_TIME)])
    assert schema.problems({"at": moment.isoformat()}, "context") == []
    assert schema.base({"at": moment.isoformat()}) == {"at": moment}


def test_an_unknown_name_is_told_what_is_declared() -> None:
    found = ContextSchema([a_field(), a_field("total")]).problems({"ordre": "1"}, "context")
    assert found == [
        FieldProblem(path="context.ordre", description="is not declared; the campaign declares order, total")
    ]
    assert "declares no context" in ContextSchema([]).problems({"x": 1}, "context")[0].description


def test_a_long_declaration_is_not_listed_in_full() -> None:
    schema = ContextSchema([a_field(f"name{number}") for number in range(50)])
    assert schema.problems({"x": 1}, "c")[0].description.endswith("name0, name1, name2, name3, name4, …")


def test_every_problem_is_found_not_the_first_alone() -> None:
    schema = ContextSchema([a_field(), a_field("total", FieldType.NUMBER)])
    found = schema.problems({"order": 1, "total": "x", "z": 1}, "recipients[7].context")
    assert [problem.path for problem in found] == [f"recipients[7].context.{name}" for name in ("order", "total", "z")]


@pytest.mark.parametrize(
    ("shared", "own", "missing"),
    [
        ({}, {}, True),
        ({"order": "1"}, {}, False),
        ({}, {"order": "1"}, False),
        ({"order": None}, {"order": None}, True),
        ({"order": None}, {"order": "1"}, False),
        ({"order": "1"}, {"order": None}, False),
        ({"order": ""}, {}, False),
    ],
)
def test_a_required_name_may_come_from_either_side(
    shared: dict[str, object], own: dict[str, object], missing: bool
) -> None:
    schema = ContextSchema([a_field(required=True), a_field("note")])
    found = schema.missing(shared, own, "context")
    assert found == ([FieldProblem(path="context.order", description="is required (string)")] if missing else [])


def test_a_recipients_value_goes_before_the_shared_one_and_that_before_the_default() -> None:
    names = ("a", "b", "c", "d")
    schema = ContextSchema([*(a_field(name, has_default=True, default="default") for name in names[:3]), a_field("d")])
    base = schema.base({"b": "shared", "c": "shared"})
    assert schema.resolve(base, {"c": "own"}) == {"a": "default", "b": "shared", "c": "own", "d": None}


def test_null_means_absent_and_hides_nothing() -> None:
    schema = ContextSchema([a_field(has_default=True, default="default"), a_field("total", FieldType.NUMBER)])
    assert schema.base({"order": None}) == {"order": "default", "total": None}
    assert schema.resolve(schema.base({"order": "shared", "total": 5}), {"order": None, "total": None}) == {
        "order": "shared",
        "total": 5,
    }


def test_date_times_reach_templates_as_moments_wherever_they_come_from() -> None:
    moment = datetime(2026, 11, 24, 8, tzinfo=UTC)
    schema = ContextSchema(
        [a_field("a", FieldType.DATE_TIME, has_default=True, default=MOMENT), a_field("b", FieldType.DATE_TIME)]
    )
    assert schema.base({}) == {"a": moment, "b": None}
    assert schema.resolve(schema.base({}), {"b": MOMENT})["b"] == moment


def test_resolving_changes_neither_side() -> None:
    schema = ContextSchema([a_field()])
    shared: dict[str, object] = {"order": "shared"}
    base = schema.base(shared)
    schema.resolve(base, {"order": "own"})
    assert (shared, base) == ({"order": "shared"}, {"order": "shared"})


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_name_that_clarion_gives_cannot_be_declared(name: str) -> None:
    (problem,) = declaration_problems([a_field(), a_field(name)], "campaign.context")
    assert problem.path == "campaign.context[1].name"


@pytest.mark.parametrize(
    ("fields", "paths"),
    [
        ([a_field("a"), a_field("a")], ["c[1].name"]),
        ([a_field(required=True, has_default=True, default="x")], ["c[0].default"]),
        ([a_field(has_default=True, default=1)], ["c[0].default"]),
        ([a_field(kind=FieldType.DATE_TIME, has_default=True, default="soon")], ["c[0].default"]),
        ([a_field(has_default=True, default="x"), a_field("b", required=True)], []),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(fields: list[ContextField], paths: list[str]) -> None:
    assert [problem.path for problem in declaration_problems(fields, "c")] == paths
