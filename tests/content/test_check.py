"""What is refused when a campaign is saved, and where it says the trouble is."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from clarion_core.content.types import TemplateProblem
from support.templates import check, definition

PLACE = "campaign.contents[0]"


def problems(*, context: tuple[str, ...] = ("order_id", "items"), **email: Any) -> list[TemplateProblem]:
    return check(definition(context=context, **email), "campaign.contents")


def in_html(html: str) -> list[tuple[int, int, str]]:
    return [(problem.line, problem.column, problem.message) for problem in problems(html=html)]


def test_a_fitting_campaign_has_no_problems() -> None:
    assert (
        problems(subject="Order {{ order_id }}", html="<p>{{ profile.first_name }}", text="{{ recipient.email }}") == []
    )


def test_an_undeclared_name_is_reported_with_field_line_and_column() -> None:
    html = "<h1>Thanks</h1>\n<p>oder_id {{ 'oder_id' }}{{ items.oder_id }} {{ oder_id }}</p>"
    assert problems(html=html) == [
        TemplateProblem(
            path="campaign.contents[0].email.html",
            line=2,
            column=50,
            message="'oder_id' is not declared in the context; did you mean 'order_id'?",
        )
    ]


def test_a_name_without_relatives_gets_no_suggestion() -> None:
    assert in_html("{{ voucher }}") == [(1, 4, "'voucher' is not declared in the context")]


def test_the_place_of_a_problem_reads_like_a_compiler_message() -> None:
    (problem,) = problems(subject="{{ nope }}")
    assert problem.where == "campaign.contents[0].email.subject:1:4"


def test_every_template_is_looked_into_and_all_problems_come_at_once() -> None:
    found = problems(subject="{{ a1 }}", html="{{ b1 }}\n{{ b2 | nofilter }}", text="{{ c1 }}")
    assert [problem.where.removeprefix(f"{PLACE}.email.") for problem in found] == [
        "subject:1:4",
        "html:1:4",
        "html:2:4",
        "html:2:9",
        "text:1:4",
    ]


@pytest.mark.parametrize(
    "template",
    [
        "{% for item in items %}{{ loop.index }}{{ item.name }}{% else %}-{% endfor %}",
        "{% set total = 0 %}{% if items %}{% set total = 1 %}{% endif %}{{ total }}",
        "{% macro row(item, wide=1) %}{{ item }}{{ wide }}{{ varargs }}{{ caller() }}{% endmacro %}{{ row(1) }}",
        "{% with note = 1 %}{{ note }}{% endwith %}{% set block %}x{% endset %}{{ block }}",
        "{% set ns = namespace(sum=0) %}{% for i in range(3) %}{% set ns.sum = ns.sum + i %}{% endfor %}{{ ns.sum }}",
        "{% raw %}{{ anything }}{% endraw %}{# {{ anything }} #}{{ dict(anything=1).anything }}",
        "{% filter upper %}{{ order_id }}{% endfilter %}{{ order_id is not none }}{{ campaign.display_name }}",
    ],
)
def test_what_the_template_sets_itself_is_declared(template: str) -> None:
    assert in_html(template) == []


def test_a_loop_variable_is_unknown_after_its_loop() -> None:
    html = "{% for item in items %}\n{{ item }}\n{% endfor %}\n{{ item }}"
    assert in_html(html) == [(4, 4, "'item' is not declared in the context; did you mean 'items'?")]


def test_names_that_clarion_gives_are_checked_one_step_further() -> None:
    assert in_html("{{ recipient.emial }} {{ campaign.title }} {{ profile.whatever }}") == [
        (1, 14, "'recipient' has no 'emial'; did you mean 'email'?"),
        (1, 35, "'campaign' has no 'title'; it has id, display_name"),
    ]


def test_unknown_filters_and_tests_are_found_in_branches_too() -> None:
    html = "{% if order_id %}{{ order_id | mony('EUR') }}{% endif %}\n{{ order_id is not deffined }}"
    assert in_html(html) == [
        (1, 32, "there is no filter 'mony'; did you mean 'money'?"),
        (2, 20, "there is no test 'deffined'; did you mean 'defined'?"),
    ]


@pytest.mark.parametrize(
    ("template", "tag"),
    [
        ("{% include 'x' %}", "include"),
        ("{% import 'x' as y %}", "import"),
        ("{% from 'x' import y %}", "from"),
        ("{% extends 'x' %}", "extends"),
        ("{% autoescape false %}{% endautoescape %}", "autoescape"),
    ],
)
def test_tags_that_reach_beyond_the_template_are_refused(template: str, tag: str) -> None:
    ((line, column, message),) = in_html(f"<p>\n {template}")
    assert (line, column) == (2, 5)
    assert message.startswith(f"'{tag}' can't be used: ")


@pytest.mark.parametrize(
    ("template", "line", "column", "message"),
    [
        ("<p>\n{{ order_id }", 2, 13, "unexpected '}'"),
        ("<p>\n {{ order_id ]}}", 2, 14, "unexpected ']'"),
        ("<p>\n {{ order_id items }}", 2, 14, "expected token 'end of print statement', got 'items'"),
        ("<p>\n {{ order_id $ }}", 2, 14, "unexpected char '$'"),
        ("<p>\r\n\r\n {% foo %}", 3, 5, "Encountered unknown tag 'foo'."),
        ("{% if order_id %}x{% endfor %}", 1, 22, "Encountered unknown tag 'endfor'."),
        ("<p>\n {% for i in items %}", 2, 5, "Unexpected end of template."),
    ],
)
def test_a_syntax_error_says_where(template: str, line: int, column: int, message: str) -> None:
    ((found_line, found_column, found),) = in_html(template)
    assert (found_line, found_column) == (line, column)
    assert found.startswith(message)


def test_stripped_white_space_does_not_move_columns() -> None:
    assert in_html("<p>\n   {%- if items -%}   \n\n  {{ nope }}{% endif %}")[0][:2] == (4, 6)


def test_a_subject_has_no_line_break_outside_tags() -> None:
    (problem,) = problems(subject="Your order\n{{ order_id }}")
    assert problem.where == "campaign.contents[0].email.subject:1:11"
    assert problems(subject="\n{% if order_id %}\nOrder {{ order_id }}{% endif %}\n") == []


@pytest.mark.parametrize(
    "template", ["{{" + "(" * 5000 + "1" + ")" * 5000 + "}}", "{% for x in items %}" * 40 + "{% endfor %}" * 40]
)
def test_what_python_cannot_compile_is_a_problem_like_others(template: str) -> None:
    assert in_html(template) == [(1, 1, "is nested too deeply or too large to compile")]


def test_checking_evaluates_nothing() -> None:
    text = "{{ 'A' * 300000000 }}{{ 'a' | center(300000000) }}"
    program = f"""
import resource
from clarion_core.content.inspection import inspect
from clarion_core.content.types import TemplateCheck
for html in ({text!r}, "{{% autoescape 'A' * 300000000 %}}{{% endautoescape %}}"):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    inspect(TemplateCheck(name="email.html", source=html, path="", known=[]))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100_000, f"{{grown}} KiB"
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_a_content_needs_a_sender_a_subject_and_a_body() -> None:
    found = {
        problem.where.removeprefix(f"{PLACE}.email."): problem.message
        for problem in problems(sender="Shop <orders>", reply_to="nobody", subject=" ", html="", text="")
    }
    assert found == {
        "from": "is not an e-mail address: an email address must have an @-sign",
        "reply_to": "is not an e-mail address: an email address must have an @-sign",
        "subject": "is required",
        "html": "one of html and text is required",
    }


def test_a_template_full_of_problems_is_answered_briefly() -> None:
    assert len(in_html("".join(f"{{{{ nope{n} }}}}" for n in range(500)))) == 20


def test_a_template_too_large_to_compile_in_time_is_refused_unread() -> None:
    assert in_html("{{ order_id }}" * 7_000) == [(1, 1, "holds more than 20,000 words and signs in tags")]
