"""Providers that a configuration describes: what may be described, what is asked, and what answers mean."""

from __future__ import annotations

import asyncio
import json
import math
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from clarion_core.configuration.file import ChannelsInvalid, read
from clarion_core.configuration.http_sms import HttpSmsPart
from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import AddressFact, Ambiguous, Outcome, PermanentFailure, Sent, TransientFailure
from clarion_core.pointer import look
from clarion_workers.channels.http import Answer, Request
from clarion_workers.channels.sms.generic import GenericSmsChannel
from clarion_workers.channels.sms.message import SmsMessage
from support.peers import peer_of
from support.peers.http import DESCRIBED
from support.peers.infobip import InfobipPeer

PROVIDER = "sms.providers[0].http"
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=200)  # lone surrogates are no text


def message(**changes: Any) -> SmsMessage:
    return replace(
        SmsMessage(delivery_id="00j4k-1", sender="Shop", to_number="+4915112345678", text="Hi", segments=2), **changes
    )


def asked(message: SmsMessage, **described: Any) -> Request:
    part = HttpSmsPart.model_validate({"url": "https://sms.example.com/send"} | described)
    channel = GenericSmsChannel(part, secrets={"key": 's"ec\nret&=#'}, known={})
    return asyncio.run(channel.request(message))


def meant(status: int, told: Any = None, part: HttpSmsPart = DESCRIBED, **headers: str) -> Outcome:
    body = b"" if told is None else json.dumps(told).encode()
    channel = GenericSmsChannel(part, secrets={}, known={})
    return channel.outcome(message(), Answer(status=status, headers=headers, body=body))


# What is asked.


@given(TEXT, TEXT)
def test_whatever_a_text_holds_the_body_is_json_that_says_it(text: str, sender: str) -> None:
    body = {
        "a": "{{text}}",
        "b": ["{{from}}", "to {{ to }}: {{text}}"],
        "ttl": "{{ttl_s}}",
        "parts": "{{segments}}",
        "key": "{{secret.key}}",
        "same": [None, True, 1, 1.5, "{text}"],
    }
    request = asked(
        message(text=text, sender=sender),
        body=body,
        secrets=[{"name": "key", "secret": {"env": "KEY"}}],
    )
    assert json.loads(request.body) == {
        "a": text,
        "b": [sender, f"to +4915112345678: {text}"],
        "ttl": 172_800,
        "parts": 2,
        "key": 's"ec\nret&=#',
        "same": [None, True, 1, 1.5, "{text}"],
    }
    assert request.headers == {"Content-Type": "application/json"}


@given(TEXT)
def test_whatever_a_text_holds_the_form_and_the_query_say_it(text: str) -> None:
    fields = {"text": "{{text}}", "to": ["{{to_digits}}", 1], "flash": True, "id": "id={{delivery_id}}&x"}
    pairs = [
        ("text", text),
        ("to", "4915112345678"),
        ("to", "1"),
        ("flash", "true"),
        ("id", "id=00j4k-1&x"),
    ]
    form, query = asked(message(text=text), form=fields), asked(message(text=text), method="GET", query=fields)
    assert parse_qsl(form.body.decode("ascii"), keep_blank_values=True, strict_parsing=True) == pairs
    assert form.headers == {"Content-Type": "application/x-www-form-urlencoded"}
    assert (query.method, query.body, query.headers) == ("GET", b"", {})
    assert parse_qsl(urlsplit(query.url).query, keep_blank_values=True, strict_parsing=True) == pairs
    assert urlsplit(query.url)._replace(query="").geturl() == "https://sms.example.com/send"


@given(TEXT)
def test_a_placeholder_in_a_text_is_text(text: str) -> None:
    request = asked(message(text="{{to}} {{secret.key}}" + text), body={"text": "{{text}}"})
    assert json.loads(request.body) == {"text": "{{to}} {{secret.key}}" + text}


def test_a_content_type_that_is_described_is_taken() -> None:
    request = asked(message(), body={}, headers={"content-type": "application/vnd.example+json"})
    assert request.headers == {"content-type": "application/vnd.example+json"}


# What an answer means.


@pytest.mark.parametrize(
    ("status", "told", "outcome"),
    [
        (200, {"state": 0, "id": 7, "text": "taken"}, Sent(detail="200 taken", provider_id="7")),
        (200, {"state": "0", "id": {"a": 1}}, Sent(detail="200")),
        (200, {"state": 3}, TransientFailure(reason=Reason.PROVIDER_DEFERRED, detail="200", retry_after_s=3.0)),
        (
            200,
            {"state": 1},
            PermanentFailure(reason=Reason.RECIPIENT_REFUSED, detail="200", address_fact=AddressFact.UNSUBSCRIBED),
        ),
        (200, {"state": 4}, Ambiguous(detail="200")),
        (200, {"state": False}, Ambiguous(detail="200")),
        (200, None, Ambiguous(detail="200")),
        (202, {"state": 0}, Ambiguous(detail="202")),
        (418, None, TransientFailure(reason=Reason.PROVIDER_DEFERRED, detail="418", retry_after_s=3.0)),
        (400, {"state": 0}, PermanentFailure(reason=Reason.MESSAGE_REFUSED, detail="400")),
        (401, [], TransientFailure(reason=Reason.PROVIDER_CREDENTIALS, detail="401")),
        (302, None, TransientFailure(reason=Reason.PROVIDER_UNREACHABLE, detail="302")),
        (500, {"state": 1}, Ambiguous(detail="500")),
    ],
)
def test_an_answer_means_what_the_rules_say_and_else_what_its_status_says(
    status: int, told: Any, outcome: Outcome
) -> None:
    assert meant(status, told, **{"Retry-After": "3"}) == outcome


def test_a_message_may_be_found_by_the_providers_id_alone() -> None:
    described = {"url": "https://sms.example.com", "id_at": "/id", "receipts_by_id": True}
    part = HttpSmsPart.model_validate(described)
    assert meant(200, {"id": "x-1"}, part) == Sent(detail="200", provider_id="x-1", receipts_by_id=True)


def test_a_rule_may_say_that_nobody_can_know() -> None:
    rules = [{"status": [503], "reason": "HANDOVER_UNKNOWN"}]
    part = HttpSmsPart.model_validate({"url": "https://sms.example.com", "failures": rules})
    assert meant(503, part=part) == Ambiguous(detail="503")
    assert meant(201, part=part) == Sent(detail="201")


async def test_a_delivery_that_infobip_has_already_is_sent(server_tls: Any, ca: Any) -> None:
    async with peer_of("infobip", server_tls, ca) as peer:
        assert isinstance(peer, InfobipPeer)
        channel = peer.channel()
        [first] = await channel.send([peer.message("takes", 1)])
        [second] = await channel.send([peer.message("takes", 1)])
        await peer.close()
    assert first == Sent(detail="200 PENDING_ACCEPTED", provider_id="00j4k-1")
    assert second == Sent(detail="200 REJECTED_DUPLICATE_MESSAGE_ID", provider_id="00j4k-1")


@pytest.mark.parametrize(
    ("pointer", "value"),
    [  # RFC 6901 §5, and what is not there
        ("", "all"),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/m~0n", 8),
        ("/~01", 9),
        ("/foo/2", None),
        ("/foo/-1", None),
        ("/foo/٠", None),
        ("/foo/0/1", None),
        ("/no/0", None),
    ],
)
def test_a_pointer_names_a_value(pointer: str, value: Any) -> None:
    document = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "m~n": 8, "~1": 9}
    assert look(document, pointer) == (document if value == "all" else value)


# What may be described.


def problems(tmp_path: Path, described: str) -> list[str]:
    file = tmp_path / "channels.yaml"
    file.write_text(f"sms: {{providers: [{{name: one, http: {{{described}}}}}]}}")
    with pytest.raises(ChannelsInvalid) as refused:
        read(file)
    return [line.removeprefix(f"{file}: ").removeprefix(PROVIDER) for line in refused.value.lines]


URL = "url: https://a.example"
DOCUMENT = "must be a mapping whose texts may hold placeholders like {{to}}"


@pytest.mark.parametrize(
    ("described", "line"),
    [
        ("url: http://a.example", ".url: must be an https:// URL, or http:// to this machine, without query"),
        ("url: 'https://a.example?key=1'", ".url: must be an https:// URL, or http:// to this machine, without query"),
        (f"{URL}, method: DELETE", ".method: must be POST, PUT or GET"),
        (f"{URL}, body: {{a: '{{{{name}}}}'}}", ".body: has {{name}}, which is not known here; known are "),
        (f"{URL}, body: {{a: '{{{{ secret.x }}}}'}}", ": body has {{secret.x}}, and secrets has no such name"),
        (f"{URL}, body: {{a: 2026-01-01}}", f".body: {DOCUMENT}"),
        (f"{URL}, body: {{a: .nan}}", f".body: {DOCUMENT}"),
        (f"{URL}, body: {{a: {'[' * 21}{']' * 21}}}", f".body: {DOCUMENT}"),
        (f"{URL}, body: [1]", f".body: {DOCUMENT}"),
        (f"{URL}, form: {{a: {{b: 1}}}}", ".form: is flat: a field is a text, a number, true or false, or a list"),
        (f"{URL}, form: {{}}, body: {{}}", ": has one of body, which is JSON, and form"),
        (f"{URL}, form: {{}}, method: GET", ": method GET has no body and no form; say it in query"),
        (f"{URL}, headers: {{X: '{{{{text}}}}'}}", ".headers: has {{text}}, which is not known here; known are "),
        (f"{URL}, headers: {{Host: a}}", ".headers: Host can't be set so"),
        (f"{URL}, headers: {{'A b': a}}", ".headers: A b can't be set so"),
        (f'{URL}, headers: {{A: "a\\nb"}}', ".headers: A can't be set so"),
        (f"{URL}, auth: {{}}", ".auth: needs one of basic, bearer and header"),
        (f"{URL}, auth: {{bearer: canary}}", ".auth.bearer: must not stand here itself; say where it is: "),
        (f"{URL}, success: {{at: /a}}", ".success: at and values go together"),
        (f"{URL}, id_at: a", ".id_at: must be a JSON pointer (RFC 6901) like /messages/0/id, or nothing"),
        (
            f"{URL}, failures: [{{reason: EXPIRED, status: [1]}}]",
            ".failures[0].status[0]: must be a list of 1 to 50 statuses from 100 to 599",
        ),
        (f"{URL}, failures: [{{reason: MESSAGE_REFUSED}}]", ".failures[0]: needs status, or at and values"),
        (
            f"{URL}, failures: [{{reason: MESSAGE_REFUSED, status: [400], address: gone}}]",
            ".failures[0]: address is of RECIPIENT_REFUSED alone",
        ),
        (f"{URL}, secrets: [{{name: A, secret: {{env: A}}}}]", ".secrets[0].name: must be lower-case letters, digits "),
        (f"{URL}, receipts_by_id: true", ": receipts_by_id needs id_at"),
        (f"{URL}, max_ttl_s: 0", ".max_ttl_s: must be a whole number from 60 to 604800"),
    ],
)
def test_each_mistake_is_told_at_its_place(tmp_path: Path, described: str, line: str) -> None:
    told = problems(tmp_path, described)
    assert told[0].startswith(line), told


def test_how_long_it_is_worth_delivering_has_bounds() -> None:
    for left_s, ttl_s in ((0.1, 1), (90.5, 90), (1e9, 172_800), (math.inf, 172_800)):
        request = asked(message(deadline_s=time.monotonic() + left_s), body={"a": "{{ttl_s}}", "b": "{{expire_time}}"})
        body = json.loads(request.body)
        assert ttl_s - 1 <= body["a"] <= ttl_s
        assert body["b"].endswith("Z")
