"""A provider that is described: its reports by JSON pointers, believed by a secret or a signature of the body."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
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


async def infobip(door: Door, monkeypatch: pytest.MonkeyPatch) -> str:
    """The example's file, and the path of its source."""
    for name in ("TWILIO_AUTH_TOKEN", "INFOBIP_RECEIPTS_SECRET", "BOUNCE_SECRET"):
        monkeypatch.setenv(name, SECRET)
    await door.open(EXAMPLE.read_text())
    return "/receipts/infobip/" + SECRET.replace(" ", "%20").replace(",", "%2C")


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
