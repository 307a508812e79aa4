"""A webhook's document: JSON whatever its templates and the recipient's data are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import TemplateSyntaxError, UndefinedError

from clarion_core.content.document import leaves
from clarion_core.content.environment import compile_template
from clarion_core.content.inspection import inspect
from clarion_core.content.types import BODY, Form, RenderedTexts, RenderFailure, Revision, TemplateCheck
from clarion_core.domain.campaign import ContextField, Definition, FieldType
from clarion_core.domain.content import WebhookContent
from clarion_core.domain.medium import Channel
from support.templates import render, request

PROFILE = {"s": 'a"\\\n\u2028<>', "n": 12, "f": 2.5, "t": True, "none": None, "l": [1, {"k": "v"}], "o": {"x": {}}}


def revision(body: object) -> Revision:
    context = (ContextField(name="at", type=FieldType.DATE_TIME),)
    return Revision(key="k", campaign_id="c", definition=Definition(webhook=WebhookContent(body=body), context=context))


def outcome(body: object) -> RenderedTexts | RenderFailure:
    shared = {"at": "2026-11-24T08:00:00+01:00"}
    (result,) = render(revision(body), [request(shared, profile=dict(PROFILE))], Channel.WEBHOOK)
    assert isinstance(result, RenderedTexts | RenderFailure)
    return result


def rendered(body: object) -> Any:
    result = outcome(body)
    assert isinstance(result, RenderedTexts), result
    return json.loads(result.texts[BODY], parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("leaf", "value"),
    [
        ("{{ profile.n }}", 12),
        ("{{ profile.f }}", 2.5),
        ("{{ profile.t }}", True),
        ("{{ profile.none }}", None),
        ("{{ profile.l }}", [1, {"k": "v"}]),
        ("{{ profile.o }}", {"x": {}}),
        ("{{- profile.s -}}", PROFILE["s"]),
        ("{{ profile.l | map('string') }}", ["1", "{'k': 'v'}"]),
        ("{{ profile.n > 3 }}", True),
        ("{{ at }}", "2026-11-24T08:00:00+01:00"),
        ("{{ 12.5 | money('EUR') }}", "€12.50"),
        ("{{ '<b>' | escape }}", "&lt;b&gt;"),
        ("{# how many #}{{ profile.n }}", 12),
        (" {{ profile.n }}", " 12"),
        ("{{ profile.n }}{{ profile.n }}", "1212"),
        ("Hi {{ profile.s }}", f"Hi {PROFILE['s']}"),
        ("{% if profile.t %}\nyes\n{% endif %}", "yes\n"),
        ("{% set x = 1 %}{{ x }}", "1"),
        ("{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("{{ '\\ud800' }}", "?"),
        ("", ""),
        ("{# nothing #}", ""),
        ('plain "text" {', 'plain "text" {'),
        ("\n  two\n lines", "\n  two\n lines"),
    ],
)
def test_a_string_is_rendered_and_one_expression_alone_keeps_its_type(leaf: str, value: object) -> None:
    assert rendered({"a": leaf}) == {"a": value}
    assert rendered(leaf) == value


def test_everything_that_is_no_string_stays_as_it_is() -> None:
    body = {"{{ profile.n }}": [1, -2.5, True, False, None, {}, [], {"": ""}], 'a"b\\\n': "x"}
    assert rendered(body) == body


@pytest.mark.parametrize("leaf", ["{{ x }} {%", "{% endfilter %}{{ 1 }}{% filter upper %}", "{% endif %}", "{{"])
def test_no_string_reaches_what_is_around_it(leaf: str) -> None:
    with pytest.raises(TemplateSyntaxError):
        outcome({"a": leaf})
    assert inspect(TemplateCheck(name="webhook.body.a", source=leaf, path="p", known=[], form=Form.JSON))


def test_what_one_string_sets_the_others_do_not_see() -> None:
    assert rendered(["{% set x = 1 %} ", "{{ x is defined }}"]) == [" ", False]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"order": {"total": "\n{{ profile.nope }}"}}, "order.total, line 2: UndefinedError: 'nope' has no value"),
        ({"order": {"total": "{{ profile.nope }}"}}, "order.total, line 1: UndefinedError: 'nope' has no value"),
        (["a", {"b c": ["{{ 1 }}", "\n\n{{ 1 // 0 }} "]}], '[1]["b c"][1], line 3: ZeroDivisionError'),
        ({"a": "{{ 1e308 * 10 }}"}, "a, line 1: ValueError"),
        ({"a": "{{ profile.items }}"}, "a, line 1: TypeError"),
        ({"a": "{{ profile[profile.s] }}"}, "a, line 1: UndefinedError"),
        ({"a": "{% macro m() %}\n{{ profile.n / 0 }}{% endmacro %}\n{{ m() }}"}, "a, line 2: ZeroDivisionError"),
    ],
)
def test_a_failure_says_in_which_string_and_line_without_any_data(body: object, detail: str) -> None:
    dot = "" if detail.startswith("[") else "."
    assert outcome(body) == RenderFailure(detail=f"webhook.body{dot}{detail}")


def test_a_document_that_grows_too_long_is_a_failure() -> None:
    assert outcome({"a": "{{ 'a' * 2097152 }}"}) == RenderFailure(
        detail="webhook.body: is longer than 2,097,152 characters"
    )


SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
TAGS = ["{{ profile.s }}", "{{ profile.l }}", "{{ profile.n }}", "{% if profile.t %}", "{% endif %}", "{{", "}}", "{#"]
TAGS += ["#}", "{%- set x = 2 -%}", "{{ x }}", "{% raw %}", "{% endraw %}", "%}", "{"]
PIECES = st.sampled_from([*TAGS, '"', "\\", "\n", " ", "\u2028", "é", "\x00"])
STRINGS = st.lists(PIECES, max_size=6).map("".join) | st.text(max_size=8)
DOCUMENTS = st.recursive(
    SCALARS | STRINGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5) | STRINGS, inner, max_size=4),
    max_leaves=12,
)


def alone(source: str) -> Any:
    """What a string becomes by itself: the text that Jinja makes of it, or the value of its one expression."""
    text = compile_template(source, "x").render(profile=PROFILE, recipient={"locale": "en"})
    uncommented = re.sub(r"\{#(.*?#\}\n?|$)", "", source, flags=re.DOTALL)
    only = re.fullmatch(r"\{\{ profile\.([sln]) \}\}\n?", uncommented)  # the last line end is not the template's
    return PROFILE[only[1]] if only else text


def expected(document: object) -> Any:
    match document:
        case str():
            return alone(document)
        case Mapping():
            return {key: expected(value) for key, value in document.items()}
        case list():
            return [expected(each) for each in document]
    return document


@given(DOCUMENTS)
@example({"a": "{{ profile.s }}", "b": ["{{ profile.l }} ", {"{{": "{% if profile.t %}x{% endif %}"}]})
def test_a_document_is_json_and_each_string_is_what_it_is_by_itself(document: object) -> None:
    try:
        for leaf in leaves(document, BODY):  # all are read before one is rendered
            compile_template(leaf.source, "x")
        wanted = expected(document)
    except TemplateSyntaxError:
        with pytest.raises(TemplateSyntaxError):
            outcome(document)
    except UndefinedError:
        assert isinstance(outcome(document), RenderFailure)
    else:
        assert rendered(document) == wanted


@given(DOCUMENTS)
def test_every_string_has_a_path_of_its_own(document: object) -> None:
    names = [leaf.name for leaf in leaves(document, BODY)]
    assert len(set(names)) == len(names)
