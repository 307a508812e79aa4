"""The code that templates become against the code that Jinja itself makes of them, in the same sandbox."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Template
from jinja2.compiler import CodeGenerator
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from clarion_core.content.compiled import line_of
from clarion_core.content.environment import TemplateEnvironment
from clarion_core.content.generator import DirectGenerator
from clarion_core.domain.context import ContextSchema
from support.example_orders import definition, request_of, valid_orders

from .test_sandbox import ESCAPES

NAMES = ("email.html", "email.text")
RECIPIENT = {"user_id": "u-1", "locale": "de", "email": "ada@example.com", "phone": ""}


class JinjasOwn(TemplateEnvironment):
    """Clarion's environment with the generator that Jinja comes with, and the sandbox's way to attributes."""

    code_generator_class = CodeGenerator

    def getattr(self, obj: Any, attribute: str) -> Any:
        if type(obj) is dict and attribute in obj:
            return obj[attribute]
        return ImmutableSandboxedEnvironment.getattr(self, obj, attribute)


class Record(dict[str, Any]):
    """Not plain data: its attributes come first."""

    items = None
    size = 7


def compiled(kind: type[TemplateEnvironment], source: str, name: str) -> Template:
    environment = kind()
    return Template.from_code(environment, environment.compile(source, name, name), environment.globals)


def outcome(template: Template, values: dict[str, Any]) -> tuple[str, ...]:
    """The text; or the error, its message, and the line of the template that raised."""
    try:
        return ("".join(template.root_render_func(template.new_context(values, shared=True))),)
    except Exception as error:  # whatever it is, both must raise it
        return type(error).__name__, str(error).partition(" at 0x")[0], line_of(template, error)


def check(source: str, values: dict[str, Any]) -> None:
    for name in NAMES:
        ours, theirs = compiled(TemplateEnvironment, source, name), compiled(JinjasOwn, source, name)
        given_values = {**ours.globals, "recipient": RECIPIENT, **values}
        assert outcome(ours, given_values) == outcome(theirs, given_values)


def test_the_two_environments_differ_in_the_generator() -> None:
    assert TemplateEnvironment.code_generator_class is DirectGenerator
    assert "owner" in TemplateEnvironment().compile("{{ a.b }}", raw=True)
    assert "owner" not in JinjasOwn().compile("{{ a.b }}", raw=True)


VALUES: list[Any] = [
    None, True, False, 0, 1, -1.5, "", "a", "<&\"'>", "é", Markup("<b>"), [], [1, "<"], {}, {"b": "<"}, {"b": None},
    {"b": {"c": 1}}, {"items": [1, 2], "keys": "k"}, {"b": Markup("<i>")}, Record(), Record(items=3, size=4, b=5),
]  # fmt: skip
TEMPLATES = [
    "{{ a }}", "x{{ a }}y{{ a }}", "{{ a.b }}", "{{ a.b.c }}", "{{ a.b.c.d }}", "{{ a.items }}", "{{ a.items() }}",
    "{{ a.keys }}", "{{ a.size }}", "{{ a.nope | default('-') }}", "{{ a['b'] }}", "{{ a['nope'] }}",
    "{{ a.__class__ }}", "{{ missing }}", "{{ missing | default(a) }}", "{{ missing.b }}", "{{ a.b if a else a.c }}",
    "{{ 'x' if a }}", "{{ a.b | upper }}", "{{ a ~ a.b }}", "{{ (a, a.b) }}", "{{ [a.b, a] | join('<') }}",
    "{{ a | safe }}", "{{ '%s'|format(a.b) }}", "{{ a.b + 1 }}", "{{ not a.b }}", "{{ a.b is defined }}",
    "{{ a is none }}", "{{ a[:1] }}", "{{ a.upper() }}", "{{ a.format(1) }}", "{{ dict(b=a.b) }}",
    "{{ dict(b=a).b }}", "{{ {'b': a}.b }}", "{% set a = 2 %}{{ a }}",
    "{% if a %}{% set c = a.b %}{% endif %}{{ c }}", "{{ c }}{% set c = 1 %}{{ c }}",
    "{% set c %}<{{ a }}>{% endset %}{{ c }}{{ c }}", "{% filter upper %}a{{ a.b }}{% endfilter %}",
    "{% for x in a %}{{ loop.index }}{{ x }}{{ x.b }}{% else %}none{% endfor %}{{ x }}",
    "{% for x in a if x.b %}{{ x }}{% endfor %}", "{% for k, v in a.items() %}{{ k }}={{ v }}{% endfor %}",
    "{% for x in [a] recursive %}{{ x }}{% if x.b is mapping %}({{ loop([x.b]) }}){% endif %}{% endfor %}",
    "{% for x in (1, 2) %}{% set c = x %}{% for y in (a, c) %}{{ y }}{{ loop.last }}{% endfor %}{% endfor %}{{ c }}",
    "{% macro m(x, y=a.b) %}<{{ x }}{{ x.b }}{{ y }}{{ c }}>{% endmacro %}{% set c = 1 %}{{ m(a) }}{{ m(a, '<') }}",
    "{% macro m() %}[{{ caller(a) }}]{% endmacro %}{% call(x) m() %}{{ x }}{{ x.b }}{% endcall %}",
    "{% macro m() %}{{ varargs }}{{ kwargs.b }}{% endmacro %}{{ m(a, b=a) }}",
    "{% with c = a.b %}{{ c }}{{ a }}{% endwith %}{{ c }}",
    "{% set n = namespace(x=a) %}{% set n.x = 1 %}{{ n.x }}{{ n.y }}",
    "{% block x %}{{ a.b }}{% set c = 1 %}{{ c }}{% endblock %}{{ self.x() }}{{ c }}",
    "{% for x in (1,) %}{% block y scoped %}{{ x }}{{ a }}{% endblock %}{% endfor %}",
    "{% set c = 3 %}{% block z %}{{ c }}{{ a }}{% endblock %}", "{{ self.nope() }}", "{{ self.b }}",
    "{% autoescape false %}{{ a }}{{ a.b }}{% endautoescape %}{{ a }}",
    "{% autoescape true %}{{ a }}{% endautoescape %}{{ a }}",
    "{% autoescape a %}{{ a }}{{ a.b }}{% endautoescape %}{{ a }}", "\n\n{{ a }}\n{{ a.b\n.c }}\n{{ a.x }}\n",
    "{# #}", "", "plain", "{% do %}", "{% include 'x' %}", "{{ [a.b for a in b] }}",
    "{{ a | money('EUR') }}{{ a.b | number }}", "{{ joiner('<')() }}{{ cycler(a, 1).next() }}",
    "{{ range(3) | list }}",
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_what_a_template_says_is_what_jinja_says(value: Any) -> None:
    for source in TEMPLATES:
        if compiles(source):
            check(source, {"a": value})


@cache
def compiles(source: str) -> bool:
    """Whether it does; if not, then with neither generator."""
    errors = []
    for kind in (TemplateEnvironment, JinjasOwn):
        try:
            kind().compile(source)
        except Exception as error:
            errors.append((type(error).__name__, str(error)))
    assert len(errors) in (0, 2)
    assert len(set(errors)) <= 1
    return not errors


@pytest.mark.parametrize("source", ESCAPES)
def test_what_must_fail_fails_for_the_same_reason(source: str) -> None:
    if compiles(source):
        check(source, {"profile": {"name": "Ada"}, "placed": 1})


LEAVES = st.sampled_from(
    ["text <b>", "{{ a }}", "{{ a.b }}", "{{ a.b.c }}", "{{ x.b }}", "{{ a | length }}", "\n", "{{ x }}"]
)
WRAPS = st.sampled_from(
    [
        "{% if a.b %}#{% else %}{{ a }}{% endif %}",
        "{% for x in a %}#{% endfor %}",
        "{% set x %}#{% endset %}{{ x }}",
        "{% filter upper %}#{% endfilter %}",
        "{% macro m(x) %}#{% endmacro %}{{ m(a) }}",
        "{% set x = a.b %}#",
        "{% with x = a %}#{% endwith %}",
    ]
)
SOURCES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4).map("".join) | st.builds(lambda wrap, text: wrap.replace("#", text), WRAPS, inner)
    ),
    max_leaves=12,
)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("<&'\"aé", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["b", "c", "items"]), inner),
    max_leaves=6,
)


@given(SOURCES, DATA)
def test_generated_templates_say_what_jinja_says(source: str, value: Any) -> None:
    check(source, {"a": value})


def test_the_examples_orders_read_as_jinja_writes_them() -> None:
    email, schema = definition().email, ContextSchema(definition().context)
    assert email
    for name, source in (("email.subject", email.subject), ("email.html", email.html), ("email.text", email.text)):
        ours, theirs = compiled(TemplateEnvironment, source, name), compiled(JinjasOwn, source, name)
        for order in valid_orders():
            asked = request_of(order)
            recipient = {"locale": asked.locale}
            values = {
                **schema.resolve(schema.base(asked.shared), asked.context),
                "recipient": recipient,
                "profile": asked.profile,
            }
            text = outcome(ours, values)
            assert text == outcome(theirs, values)
            assert len(text) == 1
