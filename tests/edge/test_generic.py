"""A provider that is described: its reports by JSON pointers, believed by a secret or a signature of the body."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion_core.configuration.file import read_as
from clarion_core.domain.bounce import BounceCategory
from clarion_core.domain.feedback import Fact, FactKind
from clarion_edge.configuration import HttpCallbackPart, Receipts
from clarion_edge.generic import HttpSource
from clarion_edge.receipt import Malformed, Request
from support.edge import SECRET, Door

EXAMPLE = Path(__file__).parents[2] / "examples" / "receipts.yaml"
WORDS = "statuses: {DELIVRD: delivered, UNDELIV: bounced}"
LEAST = f"secret: {{env: RECEIPTS_SECRET}}, delivery: /id, status: /status, {WORDS}"


def file(fields: str) -> str:
    return f"sources: [{{name: any, http: {{{fields}}}}}]"


def infobip_report(delivery: str, **changes: object) -> str:
    """A delivery report as Infobip's documentation shows it, with what we give as callback data."""
    result = {
        "bulkId": "BULK-ID-123-xyz",
        "messageId": "MESSAGE-ID-123-xyz",
        "to": "41793026727",
        "sentAt": "2025-01-20T10:00:00.000+0000",
        "doneAt": "2025-01-20T11:00:05.000+0100",
        "smsCount": 1,
        "price": {"pricePerMessage": 0.01, "currency": "EUR"},
        "status": {
            "groupId": 3,
            "groupName": "DELIVERED",
            "id": 5,
            "name": "DELIVERED_TO_HANDSET",
            "description": "Message delivered to handset",
        },
        "error": {
            "groupId": 0,
            "groupName": "Ok",
            "id": 0,
            "name": "NO_ERROR",
            "description": "No Error",
            "permanent": False,
        },
        "callbackData": delivery,
    }
    return json.dumps({"results": [result | changes]})


async def described(door: Door, monkeypatch: pytest.MonkeyPatch, name: str) -> str:
    """The example's file, and the path of one of its sources."""
    for variable in ("TWILIO_AUTH_TOKEN", "INFOBIP_RECEIPTS_SECRET", "MAILGUN_RECEIPTS_SECRET", "BOUNCE_SECRET"):
        monkeypatch.setenv(variable, SECRET)
    await door.open(EXAMPLE.read_text())
    return f"/receipts/{name}/" + SECRET.replace(" ", "%20").replace(",", "%2C")


async def infobip(door: Door, monkeypatch: pytest.MonkeyPatch) -> str:
    return await described(door, monkeypatch, "infobip")


def mailgun_event(delivery: str, event: str, **changes: object) -> str:
    """An event as Mailgun's documentation shows it, of a message that had the delivery's id as a variable."""
    told = {
        "event": event,
        "id": "MXcc2gEpS-eN8HfkOnmK2w",
        "timestamp": 1770146431.6585283,
        "message": {"headers": {"message-id": "20260203192638.000be97f99f8cea1@mg.shop.example"}, "size": 341},
        "recipient": "ada@example.com",
        "user-variables": {"clarion-delivery": delivery},
    }
    signature = {"token": "e0b5477167110d68991e", "timestamp": "1770146431", "signature": "12d99f5a15355c18"}
    return json.dumps({"signature": signature, "event-data": told | changes})


async def test_infobips_report_is_described_by_the_example(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await infobip(door, monkeypatch)
    [one] = await door.sent()
    assert await door.post(path, infobip_report(one), Content_Type="application/json") == 200
    assert await door.facts() == (
        Fact(
            kind=FactKind.DELIVERED,
            time_ms=1_737_367_205_000,
            provider="infobip",
            code="NO_ERROR",
            detail="Message delivered to handset",
        ),
    )


@pytest.mark.parametrize(
    ("group", "error", "category"),
    [
        ("UNDELIVERABLE", "EC_UNKNOWN_SUBSCRIBER", BounceCategory.INVALID_RECIPIENT),
        ("UNDELIVERABLE", "EC_ABSENT_SUBSCRIBER", BounceCategory.SOFT),
        ("UNDELIVERABLE", "EC_SOMETHING_ELSE", BounceCategory.UNDETERMINED),
        ("EXPIRED", "EC_SOMETHING_ELSE", BounceCategory.TIMEOUT),
        ("REJECTED", "EC_SOMETHING_ELSE", BounceCategory.POLICY),
    ],
)
async def test_infobips_codes_say_why_it_bounced(
    door: Door, monkeypatch: pytest.MonkeyPatch, group: str, error: str, category: BounceCategory
) -> None:
    path = await infobip(door, monkeypatch)
    [one] = await door.sent()
    report = infobip_report(one, status={"groupName": group}, error={"name": error})
    assert await door.post(path, report) == 200
    [fact] = await door.facts()
    assert (fact.category, fact.code) == (category, error)


async def test_what_is_pending_is_no_fact(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await infobip(door, monkeypatch)
    [one] = await door.sent()
    assert await door.post(path, infobip_report(one, status={"groupName": "PENDING"})) == 200
    assert await door.facts() == ()


NO_SUCH_USER = {"attempt-no": 1, "code": 550, "enhanced-code": "5.1.1", "message": "5.1.1 no such user"}


@pytest.mark.parametrize(
    ("source", "event", "changes", "fact"),
    [
        ("mailgun", "delivered", {}, Fact(kind=FactKind.DELIVERED, code="delivered")),
        ("mailgun", "complained", {}, Fact(kind=FactKind.COMPLAINED, code="complained")),
        (
            "mailgun-failed",
            "failed",
            {"severity": "permanent", "reason": "bounce", "delivery-status": NO_SUCH_USER},
            Fact(
                kind=FactKind.BOUNCED,
                category=BounceCategory.INVALID_RECIPIENT,
                code="5.1.1",
                detail="5.1.1 no such user",
            ),
        ),
        (
            "mailgun-failed",
            "failed",
            {"severity": "temporary", "reason": "generic", "delivery-status": {"code": 452, "enhanced-code": None}},
            Fact(kind=FactKind.DEFERRED, code="temporary"),
        ),
    ],
)
async def test_mailguns_events_are_described_by_the_example(
    door: Door, monkeypatch: pytest.MonkeyPatch, source: str, event: str, changes: dict[str, object], fact: Fact
) -> None:
    path = await described(door, monkeypatch, source)
    [one] = await door.sent()
    body = mailgun_event(one, event, **changes)
    assert await door.post(f"/receipts/{source}/guessed", body, Content_Type="application/json") == 403
    assert await door.facts() == ()
    assert await door.post(path, body, Content_Type="application/json") == 200
    assert await door.facts() == (replace(fact, time_ms=1_770_146_431_659, provider=source),)


async def test_what_mailgun_tells_of_anything_else_is_no_fact(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await described(door, monkeypatch, "mailgun")
    [one] = await door.sent()
    assert await door.post(path, mailgun_event(one, "opened")) == 200
    assert await door.post(path, mailgun_event(one, "delivered", **{"user-variables": []})) == 200
    assert await door.facts() == ()


async def test_a_form_and_a_query_are_flat_documents(door: Door) -> None:
    await door.open(file(f"{LEAST}, secret_header: X-Key"))
    first, second = await door.sent(2)
    form = f"id={first}&status=DELIVRD"
    assert await door.post("/receipts/any", form, X_Key=SECRET, Content_Type="application/x-www-form-urlencoded") == 200
    headers = {"X-Key": SECRET}
    async with door.http.get(f"{door.url}/receipts/any?id={second}&status=UNDELIV", headers=headers) as answer:
        assert answer.status == 200
    assert [[fact.kind for fact in each.facts] for each in await door.deliveries()] == [
        [FactKind.DELIVERED],
        [FactKind.BOUNCED],
    ]


@pytest.mark.parametrize("key", ["", "/wrong", "/" + "x" * 300, "/%00", "/%ff%fe"])
async def test_without_the_secret_nothing_is_believed(door: Door, key: str) -> None:
    await door.open(file(LEAST))
    [one] = await door.sent()
    assert await door.post(f"/receipts/any{key}", json.dumps({"id": one, "status": "DELIVRD"})) == 403
    assert await door.facts() == ()


SIGNED = "signature: {{header: X-Sign, algorithm: {algorithm}, encoding: {encoding}, prefix: 'v1='}}"


@pytest.mark.parametrize(("algorithm", "encoding"), [("sha256", "hex"), ("sha512", "base64"), ("sha1", "hex")])
async def test_a_signature_of_the_body_is_believed(door: Door, algorithm: str, encoding: str) -> None:
    await door.open(file(f"{LEAST}, {SIGNED.format(algorithm=algorithm, encoding=encoding)}"))
    [one] = await door.sent()
    body = json.dumps({"id": one, "status": "DELIVRD"}).encode()
    digest = hmac.new(SECRET.encode(), body, getattr(hashlib, algorithm)).digest()
    shown = digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()
    assert await door.post("/receipts/any", body + b" ", X_Sign=f"v1={shown}") == 403
    assert await door.post("/receipts/any", body, X_Sign=shown) == 403
    assert await door.facts() == ()
    assert await door.post("/receipts/any", body, X_Sign=f"v1={shown}") == 200
    assert len(await door.facts()) == 1


async def test_a_signature_of_no_body_says_nothing_of_a_query(door: Door) -> None:
    await door.open(file(f"{LEAST}, {SIGNED.format(algorithm='sha256', encoding='hex')}"))
    [one] = await door.sent()
    signed = "v1=" + hmac.new(SECRET.encode(), b"", hashlib.sha256).hexdigest()
    assert await door.post(f"/receipts/any?id={one}&status=DELIVRD", b"", X_Sign=signed) == 403
    assert await door.facts() == ()


def source(fields: str, tmp_path: Path) -> HttpSource:
    path = tmp_path / "receipts.yaml"
    path.write_text(file(fields))
    part = read_as(Receipts, path).sources[0].http
    assert isinstance(part, HttpCallbackPart)
    return HttpSource("any", part, SECRET)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["DELIVRD", "UNDELIV", "5.1.1", "é"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "status", "items"]), inner),
    max_leaves=12,
)


@given(body=_JSON.map(json.dumps).map(str.encode) | st.binary(max_size=60), form=st.booleans())
async def test_no_body_breaks_the_reading(body: bytes, form: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    reading = source(f"{LEAST}, items: /items, code: /status, time: /id", tmp_path_factory.mktemp("receipts"))
    kind = "application/x-www-form-urlencoded" if form else "application/json"
    headers = {"content-type": kind}
    request = Request(method="POST", url="", query="a=%ff", headers=headers, body=body, key=SECRET)
    try:
        found = await reading.read(request)
    except Malformed:
        return
    assert len(found) <= 3
