"""Templates that mean harm, or might as well: each takes more time or memory than anybody has, or raises."""

from __future__ import annotations

_DOUBLING_MACROS = "".join(
    f"{{% macro m{n}() %}}{{{{ m{n + 1}() }}}}{{{{ m{n + 1}() }}}}{{% endmacro %}}" for n in reversed(range(30))
)

HOSTILE = {
    "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "a loop over a long text": "{% for a in 'a' * 10**8 %}{% endfor %}",
    "a loop that writes": "{% for a in range(99999) %}{{ 'a' * 10**4 }}{% endfor %}",
    "a range without end": "{{ range(10**9) | list }}",
    "a long text": "{{ 'A' * 10**9 }}",
    "a long list": "{{ [0] * 10**9 }}",
    "a long mail": "{{ 'A' * 3 * 10**6 }}",
    "a power of a power": "{{ 9 ** (9 ** 9) }}",
    "center": "{{ 'a' | center(10**9) }}",
    "a width in a format": "{{ '%1000000000d' % 1 }}",
    "a width in the filter format": "{{ '%1000000000d' | format(1) }}",
    "a width in str.format": "{{ '{:1000000000}'.format(1) }}",
    "indent": "{{ ('a\n' * 10**7) | indent(200) }}",
    "tojson": "{{ ([0] * 10**7) | tojson }}",
    "a doubling namespace": "{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}"
    "{% endfor %}{{ ns.x | length }}",
    "macros that call two": "{% macro m30() %}{% endmacro %}" + _DOUBLING_MACROS + "{{ m0() }}",
    "a macro that calls itself": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "a recursive loop": "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "lipsum": "{{ lipsum(n=10**6) }}",
    "join": "{{ range(99999) | join('a' * 10**5) }}",
    "sort": "{{ (range(99999) | list * 100) | sort | length }}",
    "batch": "{{ range(10) | batch(10**9, 'a') | list }}",
    "slice": "{{ range(10) | slice(10**9) | list }}",
    "replace": "{{ ('a' * 10**6) | replace('a', 'b' * 10**4) }}",
    "wordwrap": "{{ ('a ' * 10**7) | wordwrap(1) }}",
    "striptags": "{{ ('<!--' * 10**6) | striptags }}",
    "sum of lists": "{{ ([[0] * 1000] * 10000) | sum(start=[]) | length }}",
}
