"""Known ways out of Jinja's sandbox: each fails, whether or not it was refused when the campaign was saved."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from clarion_core.content.types import RenderFailure
from support.templates import check, definition, render, request, revision

ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__']['__mro__'] }}",
    "{{ ''|attr('__class__')|attr('__base__')|attr('__subclasses__')() }}",
    "{{ ''|attr('\\x5f\\x5fclass\\x5f\\x5f') + '' }}",
    "{{ ().__class__.__base__.__subclasses__()[40]('/etc/passwd').read() }}",
    "{{ self.__init__.__globals__.__builtins__ }}",
    "{{ self._TemplateReference__context.environment }}",
    "{{ namespace.__init__.__globals__.os.popen('id').read() }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__.os.popen('id').read() }}",
    "{{ dict.mro()[1].__subclasses__() }}",
    "{{ dict.__base__.__subclasses__() }}",
    "{{ range.__globals__ }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ get_flashed_messages.__globals__ }}",
    "{{ config.items() }}",
    "{{ request.application.__globals__ }}",
    "{{ '{0.__class__.__mro__}'.format('') }}",
    "{{ '{0.__class__}'.format_map({'0': ''}) }}",
    "{{ ('{0.__class__}' | attr('format'))('') }}",
    "{{ ['{0.__class__}'] | map('attr', 'format') | first('') }}",
    "{% set f = '{0.__class__}'.format %}{{ f('') }}",
    "{{ ['{0.__class__}'.format] | map('__call__') | list }}",
    "{{ [''] | map(attribute='__class__') | join }}",
    "{{ [''] | groupby('__class__') | map('first') | join }}",
    "{{ [''] | sort(attribute='__class__.__mro__') | map(attribute='__class__') | join }}",
    "{{ [1].append(2) }}",
    "{{ profile.update({'admin': true}) }}",
    "{{ profile.clear() }}",
    "{{ (1).__class__.__bases__ }}",
    "{{ placed.__reduce__() }}",
    "{{ cycler(1).__class__ + '' }}",
    "{% for x in ().__class__.__subclasses__() %}{{ x }}{% endfor %}",
    "{% macro m() %}{% endmacro %}{{ m.__globals__ }}{{ m._func }}",
    "{% macro m() %}{% endmacro %}{{ m._environment.globals }}",
    "{% set x = ''.__class__ %}{{ x.__name__ }}",
    "{{ (loop | attr('__class__')).x }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}{{ os.popen('id').read() }}",
    "{% extends '/etc/passwd' %}",
    "{{ range(10**9) | list }}",
    "{{ profile | xmlattr }}{{ {'a b=1 onload': 1} | xmlattr }}",
]


@pytest.mark.parametrize("template", ESCAPES)
def test_no_template_escapes(template: str) -> None:
    given = request({"placed": datetime(2026, 11, 24, tzinfo=UTC)}, profile={"name": "Ada"})
    (result,) = render(revision(context=("placed",), text=template), [given])
    assert isinstance(result, RenderFailure), result
    assert given.profile == {"name": "Ada"}


@pytest.mark.parametrize("expression", ["lipsum()", "request", "config", "environment", "[1] | random", "[1] | pprint"])
def test_what_is_not_given_is_not_known(expression: str) -> None:
    assert check(definition(text="{{ " + expression + " }}"), "")
