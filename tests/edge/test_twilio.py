"""Twilio: what its own validator signs is believed, with any port in the URL, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from clarion_core.domain.bounce import BOUNCE_TYPES, BounceCategory, BounceType
from clarion_core.domain.feedback import FactKind
from clarion_core.domain.medium import Channel
from clarion_core.domain.suppression import Entry, SuppressionReason, Target, TargetKind
from clarion_core.store.configurations import Configurations
from clarion_core.store.suppressions import Suppressions
from clarion_edge.twilio import CATEGORIES, signature
from support.configurations import Kept
from support.edge import PUBLIC, SECRET, Door

PATH = "/receipts/twilio"
FILE = "sources: [{name: twilio, twilio: {auth_token: {env: RECEIPTS_SECRET}, workspaces: [default, second]}}]"
NUMBER = "+14155550123"
FORM = "application/x-www-form-urlencoded"


async def post(door: Door, path: str, fields: dict[str, str], *, base: str = PUBLIC, signed: str = "") -> int:
    """A callback as Twilio posts it."""
    given = signed or RequestValidator(SECRET).compute_signature(f"{base}{path}", fields)
    return await door.post(path, urlencode(fields), Content_Type=FORM, X_Twilio_Signature=given)


def status(word: str, error: str = "") -> dict[str, str]:
    told = {
        "MessageSid": "SM" + "a" * 32,
        "MessageStatus": word,
        "To": NUMBER,
        "From": "+15005550006",
        "ApiVersion": "x",
    }
    return told | ({"ErrorCode": error} if error else {})


@given(
    url=st.sampled_from(["https://a.test/x", "https://a.test:8443/receipts/twilio?delivery=1", "http://a.test/?a=b&c"]),
    fields=st.dictionaries(st.text(max_size=8), st.text(max_size=12), max_size=6),
)
def test_the_signature_is_the_validators(url: str, fields: dict[str, str]) -> None:
    assert signature(SECRET.encode(), url, list(fields.items())) == RequestValidator(SECRET).compute_signature(
        url, fields
    )


async def test_a_delivered_message_is_a_fact(door: Door) -> None:
    await door.open(FILE)
    [one] = await door.sent()
    for word in ("sent", "delivered", "delivered"):
        assert await post(door, f"{PATH}?delivery={one}", status(word)) == 200
    assert [(fact.kind, fact.provider) for fact in await door.facts()] == [(FactKind.DELIVERED, "twilio")]


@pytest.mark.parametrize("base", ["https://edge.shop.test", "https://edge.shop.test:443"])
async def test_the_url_may_have_its_port_or_not(door: Door, base: str) -> None:
    await door.open(FILE)
    [one] = await door.sent()
    assert await post(door, f"{PATH}?delivery={one}", status("delivered"), base=base) == 200
    assert len(await door.facts()) == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("30005", BounceType.HARD),
        ("30003", BounceType.SOFT),
        ("30007", BounceType.NEUTRAL),
        ("99999", BounceType.NEUTRAL),
    ],
)
async def test_what_could_not_be_delivered_bounced_for_the_reason_of_its_code(
    door: Door, error: str, kind: BounceType
) -> None:
    await door.open(FILE)
    [one] = await door.sent()
    assert await post(door, f"{PATH}?delivery={one}", status("undelivered", error)) == 200
    [fact] = await door.facts()
    assert (fact.kind, fact.bounce_type, fact.code) == (FactKind.BOUNCED, kind, error)


def test_every_code_says_something() -> None:
    assert {BOUNCE_TYPES[category] for category in CATEGORIES.values()} == set(BounceType)
    assert BounceCategory.AUTO_REPLY not in CATEGORIES.values()


@pytest.mark.parametrize("signed", ["", "AAAA", "é", RequestValidator("another token").compute_signature("", {})])
async def test_a_wrong_signature_is_refused_and_changes_nothing(door: Door, signed: str) -> None:
    await door.open(FILE)
    [one] = await door.sent()
    path = f"{PATH}?delivery={one}"
    headers = {"X_Twilio_Signature": signed.encode().decode("latin-1")} if signed else {}
    assert await door.post(path, urlencode(status("delivered")), Content_Type=FORM, **headers) == 403
    assert await door.facts() == ()


async def test_a_signature_is_of_the_delivery_too(door: Door) -> None:
    await door.open(FILE)
    first, second = await door.sent(2)
    told = status("delivered")
    given = RequestValidator(SECRET).compute_signature(f"{PUBLIC}{PATH}?delivery={first}", told)
    assert await post(door, f"{PATH}?delivery={second}", told, signed=given) == 403
    assert await door.facts(1) == ()


async def reason(door: Door, workspace: str) -> SuppressionReason | None:
    [verdict] = await Suppressions(door.records.store).verdicts(workspace, Channel.SMS, [NUMBER])
    return verdict.by.reason if verdict.by else None


async def test_stop_suppresses_the_number_in_the_workspaces_and_start_takes_it_back(door: Door) -> None:
    await door.open(FILE)
    inbound = {"From": NUMBER, "To": "+15005550006", "SmsStatus": "received"}
    assert await post(door, PATH, inbound | {"Body": " Stop! "}) == 200
    assert [await reason(door, each) for each in ("default", "second", "third")] == [
        SuppressionReason.UNSUBSCRIBED,
        SuppressionReason.UNSUBSCRIBED,
        None,
    ]
    assert await post(door, PATH, inbound | {"Body": "start"}) == 200
    assert [await reason(door, each) for each in ("default", "second")] == [None, None]


async def test_start_takes_back_nothing_but_a_stop(door: Door) -> None:
    await door.open(FILE)
    held = Entry(target=Target(TargetKind.ADDRESS, NUMBER), reason=SuppressionReason.MANUAL)
    await Suppressions(door.records.store).add("default", Channel.SMS, [held])
    assert await post(door, PATH, {"From": NUMBER, "Body": "START", "SmsStatus": "received"}) == 200
    assert await reason(door, "default") is SuppressionReason.MANUAL


async def test_where_twilio_looks_after_stop_its_word_counts(door: Door) -> None:
    await door.open(FILE)
    told = {"From": NUMBER, "Body": "ARRET", "SmsStatus": "received", "OptOutType": "STOP"}
    assert await post(door, PATH, told) == 200
    assert await reason(door, "default") is SuppressionReason.UNSUBSCRIBED


ACCOUNT, OTHER = "AC" + "1" * 32, "AC" + "2" * 32


def texts(account: str, **keywords: list[str]) -> dict[str, Any]:
    """Settings of text messages by an account of Twilio, with words of its own."""
    twilio = {"account_sid": account, "secret": {"env": "CLARION_SECRET_NOT_OF_THIS_PROCESS"}}
    return {"keywords": keywords, "providers": [{"name": "main", "twilio": twilio}]}


async def writes(door: Door, body: str, account: str = ACCOUNT) -> list[bool]:
    """Somebody writes to an account; whether the workspaces send no more to them then."""
    told = {"From": NUMBER, "Body": body, "SmsStatus": "received", "AccountSid": account}
    assert await post(door, PATH, told) == 200
    return [await reason(door, each) is SuppressionReason.UNSUBSCRIBED for each in ("default", "second")]


async def test_the_words_are_those_of_the_configuration_that_sends_by_the_account(door: Door) -> None:
    kept = Kept(Configurations(door.records.store))
    await kept.put("texts", texts(ACCOUNT, stop=["Arrêt"], start=["Encore"]), "second", Channel.SMS)
    await kept.put("others", texts(OTHER, stop=["Halt"]), "second", Channel.SMS)
    await door.open(FILE)
    assert await writes(door, "halt") == [False, False], "another account's word"
    assert await writes(door, "stop") == [True, False], "the usual words, where no configuration lists others"
    assert await writes(door, "ARRÊT!") == [True, True]
    assert await writes(door, "Encore") == [True, False]
    assert await writes(door, "start") == [False, False]


async def test_a_change_of_the_words_is_in_force_at_once(door: Door) -> None:
    kept = Kept(Configurations(door.records.store))
    await door.open(FILE)
    assert await writes(door, "basta") == [False, False]
    await kept.put("texts", texts(ACCOUNT, stop=["basta"]), "default", Channel.SMS)
    assert await writes(door, "basta") == [True, False]
    assert await writes(door, "start") == [False, False]
    await kept.delete("texts")
    assert await writes(door, "basta") == [False, False]
    assert await writes(door, "STOP") == [True, True]


async def test_the_workers_file_says_which_words_for_all_workspaces(door: Door, tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text(json.dumps({"sms": texts(ACCOUNT, stop=["Stopp"])}))
    kept = Kept(Configurations(door.records.store))
    await kept.put("texts", texts(ACCOUNT, stop=["Arrêt"]), "second", Channel.SMS)
    await door.open(FILE, channels=file)
    assert await writes(door, "stop") == [False, False]
    assert await writes(door, "arrêt") == [False, True]
    assert await writes(door, "stopp") == [True, True], "the word of one configuration is enough"


async def test_a_configuration_that_cant_be_read_leaves_the_usual_words(door: Door) -> None:
    kept = Kept(Configurations(door.records.store))
    pigeon = {"keywords": {"stop": ["coo"]}, "providers": [{"name": "main", "pigeon": {}}]}
    await kept.put("texts", pigeon, "default", Channel.SMS)
    await door.open(FILE)
    assert await writes(door, "coo") == [False, False]
    assert await writes(door, "stop") == [True, True]


@pytest.mark.parametrize("body", ["please don't stop", "", "HELP", "thank you"])
async def test_any_other_answer_changes_nothing(door: Door, body: str) -> None:
    await door.open(FILE)
    assert await post(door, PATH, {"From": NUMBER, "Body": body, "SmsStatus": "received"}) == 200
    assert await reason(door, "default") is None
