"""CreateTrigger: recipients that can't be right, and what becomes of the others."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import StatusCode

from clarion.v1 import campaign_pb2, trigger_pb2
from clarion_core.store.store import Store
from support.clarion import Clarion, a_recipient, a_trigger
from support.refusal import refused

Field = campaign_pb2.ContextField
CONTEXT = [
    Field(name="total", type=Field.TYPE_NUMBER, required=True),
    Field(name="city", type=Field.TYPE_STRING),
    Field(name="paid", type=Field.TYPE_BOOLEAN),
    Field(name="since", type=Field.TYPE_DATE_TIME),
    Field(name="items", type=Field.TYPE_LIST),
    Field(name="shop", type=Field.TYPE_OBJECT),
]
NOT_AN_ADDRESS = "is not an e-mail address"


def good(index: int = 0, **fields: Any) -> trigger_pb2.Recipient:
    return a_recipient(index, **({"context": {"total": 1}} | fields))


# What one bad recipient looks like, and what is said about it: (recipient, {path behind the recipient: words}).
BAD: dict[str, tuple[trigger_pb2.Recipient, dict[str, str]]] = {
    "a bad address": (good(1, addresses={"email": "ana@"}), {"addresses.email": NOT_AN_ADDRESS}),
    "a header in the address": (good(1, addresses={"email": "a@b.example\r\nBcc: c"}), {"addresses.email": ""}),
    "no address": (good(1, addresses={}), {"addresses.email": "is required"}),
    "an empty address": (good(1, addresses={"email": ""}), {"addresses.email": "is required"}),
    "a required name missing": (a_recipient(1), {"context.total": "is required (number)"}),
    "a required name null": (good(1, context={"total": None}), {"context.total": "is required (number)"}),
    "a string for a number": (good(1, context={"total": "1"}), {"context.total": "must be a number, is a string"}),
    "a boolean for a number": (good(1, context={"total": True}), {"context.total": "must be a number, is a boolean"}),
    "a number for a string": (good(1, context={"total": 1, "city": 5}), {"context.city": "must be a string"}),
    "a string for a boolean": (good(1, context={"total": 1, "paid": "yes"}), {"context.paid": "must be a boolean"}),
    "an object for a list": (good(1, context={"total": 1, "items": {}}), {"context.items": "must be a list, is"}),
    "a list for an object": (good(1, context={"total": 1, "shop": []}), {"context.shop": "object, is a list"}),
    "a date without offset": (
        good(1, context={"total": 1, "since": "2026-11-24T08:00:00"}),
        {"context.since": "offset"},
    ),
    "no date": (good(1, context={"total": 1, "since": "soon"}), {"context.since": "2026-11-24T08:00:00Z"}),
    "an undeclared name": (good(1, context={"total": 1, "colour": "red"}), {"context.colour": "is not declared"}),
    "a user id twice": (good(1, user_id="user-0"), {"user_id": "recipients[0]"}),
    "two things": (a_recipient(1, addresses={"email": "x"}), {"context.total": "", "addresses.email": ""}),
}


@pytest.fixture
async def live(clarion: Clarion) -> Clarion:
    await clarion.live_campaign(context=CONTEXT)
    return clarion


@pytest.mark.parametrize("kind", BAD)
async def test_a_refused_recipient_leaves_the_others_alone(live: Clarion, kind: str) -> None:
    bad, wrong = BAD[kind]
    answer = await live.triggers.CreateTrigger(a_trigger(recipients=[good(0), bad, good(2)]))

    counts = answer.trigger.counts
    assert (counts.accepted, counts.in_flight, counts.refused) == (2, 2, 1)
    [refusal] = answer.trigger.refusals
    assert (refusal.index, refusal.user_id) == (1, bad.user_id)
    said = {violation.field: violation.description for violation in refusal.violations}
    assert list(said) == [f"recipients[1].{path}" for path in wrong]
    assert all(words in text for words, text in zip(wrong.values(), said.values(), strict=True))
    assert (await live.triggers.CreateTrigger(a_trigger(recipients=[good(0)]))).trigger.counts.refused == 0


@pytest.mark.parametrize("kind", BAD)
async def test_all_or_nothing_refuses_the_call_for_one(live: Clarion, kind: str, store: Store) -> None:
    bad, wrong = BAD[kind]
    keys = sorted(await store.command("KEYS", "*"))
    error = await refused(live.triggers.CreateTrigger(a_trigger(recipients=[good(0), bad], all_or_nothing=True)))
    assert error.says == (StatusCode.INVALID_ARGUMENT, "RECIPIENTS_REFUSED")
    assert list(error.violations) == [f"recipients[1].{path}" for path in wrong]
    assert sorted(await store.command("KEYS", "*")) == keys


async def test_where_all_are_refused_nothing_is_stored(live: Clarion, store: Store) -> None:
    keys = sorted(await store.command("KEYS", "*"))
    recipients = [a_recipient(index, addresses={"email": "nobody"}) for index in range(2)]
    error = await refused(live.triggers.CreateTrigger(a_trigger(recipients=recipients)))
    assert error.says == (StatusCode.INVALID_ARGUMENT, "RECIPIENTS_REFUSED")
    assert len(error.violations) == 4
    assert error.message.endswith("(and 3 more)")
    assert sorted(await store.command("KEYS", "*")) == keys


async def test_a_thousand_refusals_reach_the_caller_as_an_answer_or_an_error(live: Clarion) -> None:
    recipients = [a_recipient(index, addresses={"email": "nobody"}) for index in range(1000)]
    error = await refused(live.triggers.CreateTrigger(a_trigger(recipients=recipients)))
    assert error.says == (StatusCode.INVALID_ARGUMENT, "RECIPIENTS_REFUSED")
    assert error.metadata["violations"] == "2000"
    assert 5 < len(error.violations) < 2000

    answer = await live.triggers.CreateTrigger(a_trigger(recipients=[*recipients[:-1], good(1000)]))
    assert len(answer.trigger.refusals) == answer.trigger.counts.refused == 999


async def test_names_of_any_length_and_number_make_a_short_refusal(live: Clarion) -> None:
    recipient = good(1, context={"total": 1, "x" * 100_000: 1} | {f"name-{index}": 1 for index in range(1000)})
    answer = await live.triggers.CreateTrigger(a_trigger(recipients=[good(0), recipient]))
    violations = answer.trigger.refusals[0].violations
    assert len(violations) == 21
    assert (violations[-1].field, violations[-1].description) == ("recipients[1]", "and 981 more, not shown")
    assert all(len(violation.field) <= 200 for violation in violations)

    error = await refused(live.triggers.CreateTrigger(a_trigger(recipients=[good(0)], context=recipient.context)))
    assert error.says == (StatusCode.INVALID_ARGUMENT, "CONTEXT_INVALID")
    assert error.metadata["violations"] == "1001"


@pytest.mark.parametrize(("bad", "shown"), [(250, 20), (999, 5)])
async def test_the_more_are_refused_the_fewer_of_their_problems_are_told(live: Clarion, bad: int, shown: int) -> None:
    context = {f"name-{index}": 1 for index in range(21)} | {"total": 1}
    recipients = [good(0), *(good(index, context=context) for index in range(1, bad + 1))]
    answer = await live.triggers.CreateTrigger(a_trigger(recipients=recipients))
    assert {len(refusal.violations) for refusal in answer.trigger.refusals} == {shown + 1}
    last = {refusal.violations[-1].description for refusal in answer.trigger.refusals}
    assert last == {f"and {21 - shown} more, not shown"}


async def test_all_that_is_missing_is_told_and_counted(clarion: Clarion) -> None:
    names = [f"name_{index}" for index in range(11)]
    await clarion.live_campaign(context=[Field(name=name, type=Field.TYPE_STRING, required=True) for name in names])
    error = await refused(clarion.triggers.CreateTrigger(a_trigger()))
    assert list(error.violations) == [f"recipients[0].context.{name}" for name in names]
    assert error.message.endswith("(and 10 more)")


async def test_a_shared_context_that_does_not_fit_refuses_the_call(live: Clarion, store: Store) -> None:
    keys = sorted(await store.command("KEYS", "*"))
    context = {"total": "much", "colour": "red"}
    error = await refused(live.triggers.CreateTrigger(a_trigger(2, context=context)))
    assert error.says == (StatusCode.INVALID_ARGUMENT, "CONTEXT_INVALID")
    assert error.violations["context.total"] == "must be a number, is a string"
    assert "is not declared" in error.violations["context.colour"]
    assert sorted(await store.command("KEYS", "*")) == keys


async def test_the_shared_context_gives_what_the_recipient_s_own_does_not(live: Clarion) -> None:
    answer = await live.triggers.CreateTrigger(a_trigger(2, context={"total": 1}))
    assert answer.trigger.counts.accepted == 2


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"user_id": ""}, "recipients[0].user_id"),
        ({"user_id": "u" * 129}, "recipients[0].user_id"),
        ({"locale": "not a locale"}, "recipients[0].locale"),
        ({"addresses": {"fax": "+49"}}, 'recipients[0].addresses["fax"]'),
        ({"addresses": {"email": "e" * 2049}}, 'recipients[0].addresses["email"]'),
    ],
)
async def test_what_breaks_the_contract_refuses_the_call(live: Clarion, fields: dict[str, Any], path: str) -> None:
    error = await refused(live.triggers.CreateTrigger(a_trigger(recipients=[good(0, **fields), good(1)])))
    assert error.says == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert list(error.violations) == [path]
