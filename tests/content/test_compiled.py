"""What templates make of each recipient's data."""

from __future__ import annotations

from typing import Any

import pytest

from clarion_core.content.environment import compile_template
from clarion_core.content.types import HTML, SUBJECT, TEXT, Plain, RenderedTexts, RenderFailure, RenderRequest
from support.templates import mail, render, request, revision


def rendered(request_: RenderRequest[Plain] | None = None, **parts: Any) -> RenderedTexts:
    (result,) = render(revision(**parts), [request_ or request()])
    assert isinstance(result, RenderedTexts), result
    return result


def failure(request_: RenderRequest[Plain] | None = None, **parts: Any) -> str:
    (result,) = render(revision(**parts), [request_ or request()])
    assert isinstance(result, RenderFailure), result
    return result.detail


def test_templates_see_context_recipient_profile_and_campaign() -> None:
    text = "{{ order.id }} {{ recipient.user_id }} {{ recipient.locale }} {{ recipient.email }} {{ recipient.phone }} "
    text += "{{ profile.name }} {{ campaign.id }} {{ campaign.display_name }}"
    given = request({"order": {"id": 7}}, user_id="u-9", locale="de", phone="+4915112345678", profile={"name": "Ada"})
    mail = rendered(given, context=("order",), text=text)
    assert mail.get(TEXT) == "7 u-9 de ada@example.com +4915112345678 Ada hello Hello mail"


def test_html_is_escaped_and_subject_and_text_are_not() -> None:
    template = "{{ name }}"
    given = request({"name": "<b>&'\""})
    mail = rendered(given, context=("name",), subject=template, html=template, text=template)
    assert mail.get(HTML) == "&lt;b&gt;&amp;&#39;&#34;"
    assert mail.get(SUBJECT) == mail.get(TEXT) == "<b>&'\""


def test_escaping_filters_know_the_content_type_too() -> None:
    template = "{{ names | join('<br>') }}"
    mail = rendered(request({"names": ["<a>", "b"]}), context=("names",), html=template, text=template)
    assert (mail.texts[HTML], mail.texts[TEXT]) == (b"&lt;a&gt;&lt;br&gt;b", b"<a><br>b")


def test_an_absent_body_is_empty() -> None:
    assert rendered(subject="s", html="", text="t") == mail("s", text="t")


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("a\r\nBcc: b@example.com", "a Bcc: b@example.com"),
        (" a \n\t b\x00c\x85d\u2028e\u2029\x7ff ", "a b c d e f"),
        ("שלום \u200f!", "שלום \u200f!"),
        ("a\u00a0b", "a\u00a0b"),
    ],
)
def test_the_subject_is_one_line(subject: str, expected: str) -> None:
    assert rendered(request({"s": subject}), context=("s",), subject="{{ s }}").get(SUBJECT) == expected


def test_a_missing_profile_attribute_fails_unless_it_has_a_default() -> None:
    assert rendered(text="Hi {{ profile.name | default('there') }}").texts[TEXT] == b"Hi there"
    assert failure(text="Hi\n\n{{ profile.name }}") == "email.text, line 3: UndefinedError: 'name' has no value"
    assert "UndefinedError" in failure(text="{% if profile.name %}x{% endif %}")


def test_an_optional_name_without_value_is_none_and_prints_as_nothing() -> None:
    mail = rendered(context=("note",), text="[{{ note }}]{% if note is none %}none{% endif %}")
    assert mail.get(TEXT) == "[]none"


def test_keys_of_the_data_win_over_methods() -> None:
    mail = rendered(request({"order": {"items": [1, 2]}}), context=("order",), text="{{ order.items | sum }}")
    assert mail.texts[TEXT] == b"3"


def test_one_recipients_failure_leaves_the_others_alone() -> None:
    requests = [request(profile={"name": name} if name else {}, user_id=name) for name in ("Ada", "", "Grace")]
    results = render(revision(text="{{ profile.name }}"), requests)
    assert [type(result) for result in results] == [RenderedTexts, RenderFailure, RenderedTexts]
    assert [result.texts[TEXT] for result in results if isinstance(result, RenderedTexts)] == [b"Ada", b"Grace"]


def test_recipients_share_nothing() -> None:
    text = "{% if profile.first %}{% set seen = 1 %}{% endif %}{{ seen is defined }}"
    requests = [request(profile={"first": True}), request(profile={"first": False})]
    results = render(revision(text=text), requests)
    assert [result.texts[TEXT] for result in results if isinstance(result, RenderedTexts)] == [b"True", b"False"]


def test_what_one_template_sets_another_does_not_see() -> None:
    assert rendered(html="{% set x = 1 %}{{ x }}", text="{{ x is defined }}").texts[TEXT] == b"False"


@pytest.mark.parametrize(
    "text",
    [
        "{{ table[profile.secret] }}",
        "{{ profile[profile.secret] }}",
        "{{ profile | attr(profile.secret) }}",
        "{{ [profile] | map(attribute=profile.secret) | join }}",
        "{{ profile.secret + 1 }}",
        "{{ profile.secret | money('EUR') }}",
        "{{ profile.secret | date }}",
        "{{ 1 | money(profile.secret) }}",
        "{{ '2026-01-01T00:00:00Z' | date('short', profile.secret) }}",
        "{{ profile.secret.nope }}",
        "{{ profile.secret() }}",
        "{{ profile.secret % 1 }}",
    ],
)
def test_a_failure_says_where_without_any_data(text: str) -> None:
    detail = failure(request({"table": {}}, profile={"secret": "Swordfish"}), context=("table",), text=text)
    assert detail.startswith("email.text, line 1: ")
    assert "wordfish" not in detail.lower()


def test_a_failure_in_a_macro_names_the_macros_line() -> None:
    text = "{% macro m(x) %}\n\n{{ x.nope }}\n{% endmacro %}\n\n{{ m(profile) }}"
    assert failure(text=text) == "email.text, line 3: UndefinedError: 'nope' has no value"


def test_it_renders_what_jinja_renders() -> None:
    source = (
        "{% for n in items %}{{ loop.index }}{{ n }}{% endfor %}{% macro m(a) %}<{{ a }}>{% endmacro %}{{ m('<') }}"
    )
    source += "{% block b %}{{ items | join('<') }}{% endblock %}{% set x = range(3) | list %}{{ x }}{{ none }}"
    mail = rendered(request({"items": ["<", 2]}), context=("items",), html=source, text=source)
    variables = {"items": ["<", 2], "recipient": {"locale": "en"}}
    assert mail.texts[HTML].decode() == compile_template(source, "email.html").render(variables)
    assert mail.texts[TEXT].decode() == compile_template(source, "email.text").render(variables)
