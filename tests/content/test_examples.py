"""The example campaign and its orders are what they say they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from clarion_core.addresses import check_email
from clarion_core.content.environment import compile_template
from clarion_core.content.types import HTML, SUBJECT, TEXT, RenderedTexts
from clarion_core.domain.context import ContextSchema, declaration_problems
from support.example_orders import EXAMPLES, definition, make_orders, orders, request_of, revision, valid_orders
from support.templates import check, render

RESERVED = (".example", ".test", "example.com", "example.org", "example.net")

# What each order that is wrong on purpose is refused for, by its index.
FAULTS = {
    17: "email",
    58: "email",
    101: "email",
    139: "email",
    186: "email",
    223: "email",
    264: "order_id is required (string)",
    307: "ship_to is required (object)",
    349: "total must be a number, is a string",
    388: "placed_at must be a date-time with an offset, like 2026-11-24T08:00:00Z",
    427: "items must be a list",
    466: "coupon is not declared",
    509: "totl is not declared; total is required (number)",
}


def faults_of(order: dict[str, Any]) -> Iterator[str]:
    try:
        check_email(order["recipients"][0]["addresses"].get("email", ""))
    except ValueError:
        yield "email"
    schema = ContextSchema(definition().context)
    found = [*schema.problems(order["context"], ""), *schema.missing(order["context"], {}, "")]
    yield from (f"{problem.path[1:]} {problem.description}" for problem in found)


def test_the_files_are_what_the_generator_makes() -> None:
    for path, text in make_orders().files().items():
        assert path.read_text("utf-8") == text, f"run python examples/make_orders.py, {path.name} is not what it makes"


def test_the_campaign_declares_what_its_templates_use() -> None:
    assert check(definition(), "contents[0]") == []
    assert declaration_problems(definition().context, "context") == []


def test_every_language_has_every_phrase_with_its_places() -> None:
    (phrases,) = (field.default for field in definition().context if field.name == "phrases")
    assert isinstance(phrases, dict)
    places = {name: phrase.count("%s") for name, phrase in phrases["en"].items()}
    for language, words in phrases.items():
        assert {name: phrase.count("%s") for name, phrase in words.items()} == places, language


def test_exactly_the_orders_meant_to_be_wrong_are() -> None:
    found = {index: "; ".join(faults) for index, order in enumerate(orders()) if (faults := list(faults_of(order)))}
    assert found.keys() == FAULTS.keys() == make_orders().FAULTS.keys()
    for index, fault in FAULTS.items():
        assert all(part in found[index] for part in fault.split("; ")), found[index]


def test_the_orders_are_many_and_various() -> None:
    lines = valid_orders()
    assert len(lines) >= 520
    assert len({line["recipients"][0]["user_id"] for line in lines}) == len(lines)
    assert {1, 8} <= {len(line["context"]["items"]) for line in lines} <= set(range(1, 9))
    currencies = {line["context"]["currency"] for line in lines}
    assert {"JPY", "KWD"} < currencies
    assert len(currencies) >= 10


def test_all_addresses_are_of_reserved_domains() -> None:
    for order in valid_orders():
        assert order["recipients"][0]["addresses"]["email"].endswith(RESERVED)


def test_the_totals_add_up() -> None:
    for order in valid_orders():
        context = json.loads(json.dumps(order["context"]), parse_float=Decimal)
        assert all(item["quantity"] * item["unit_price"] == item["total"] for item in context["items"])
        assert sum(item["total"] for item in context["items"]) == context["subtotal"]
        assert context["subtotal"] - context["discount"] + context["shipping"] == context["total"]
        assert 0 <= context["tax"] < context["total"]


def test_the_single_order_is_one_of_them() -> None:
    assert json.loads((EXAMPLES / "order.json").read_text("utf-8")) in valid_orders()


def test_every_valid_order_becomes_a_complete_mail_in_both_parts() -> None:
    lines = valid_orders()
    for order, mail in zip(lines, render(revision(), [request_of(line) for line in lines]), strict=True):
        context = order["context"]
        assert isinstance(mail, RenderedTexts), mail
        assert context["order_id"] in mail.get(SUBJECT)
        html, text = mail.get(HTML), mail.get(TEXT)
        for told in (context["order_id"], context["order_url"], context["payment"], *context["ship_to"]["lines"]):
            assert told in html
            assert told in text
        assert all(item["name"] in text and item["name"] in html for item in context["items"])
        assert "None" not in html + text


def test_what_a_customer_writes_stays_text_in_html() -> None:
    notes = [line for line in valid_orders() if "<b>" in line["context"].get("note", "")]
    (mail, *_) = render(revision(), [request_of(line) for line in notes])
    assert isinstance(mail, RenderedTexts)
    assert "&lt;b&gt;at no. 12&lt;/b&gt; &amp; ring twice." in mail.get(HTML)
    assert "<b>at no. 12</b> & ring twice." in mail.get(TEXT)


def test_the_mails_are_what_plain_jinja_makes_of_them() -> None:
    email = definition().email
    assert email is not None
    html, text = compile_template(email.html, "email.html"), compile_template(email.text, "email.text")
    for order in valid_orders()[:44]:
        request = request_of(order)
        schema = ContextSchema(definition().context)
        recipient = {"user_id": request.user_id, "locale": request.locale}
        variables = {**schema.base(request.shared), "recipient": recipient, "profile": request.profile}
        (mail,) = render(revision(), [request])
        assert isinstance(mail, RenderedTexts)
        assert (mail.get(HTML), mail.get(TEXT)) == (html.render(variables), text.render(variables))
