"""Signatures of webhooks, verified by the specification's own libraries, of PyPI and of npm."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import time
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from clarion_core.configuration.webhook import WebhookPart, signing_key
from clarion_core.urls import read_url
from clarion_workers.channels.webhook.signing import Signer, Signers
from support.node import node_binary
from support.peers.npm import HERE, packages
from support.webhooks.calls import ED25519, ENVIRONMENT, OTHER, PRIVATE, SECRET

BODIES = [
    b"{}",
    '{"text":"Größe • ご注文 • 🎁"}'.encode(),
    b'{"a": [1, 2.50, null],\n "b": ""}',
    b'"' + b"x" * 200_000 + b'"',
]


def headers(body: bytes, *secrets: str, timestamp: int | None = None) -> dict[str, str]:
    at = int(time.time()) if timestamp is None else timestamp
    signer = Signer([signing_key(secret) for secret in secrets])
    return {
        "webhook-id": "00j4k-7h",
        "webhook-timestamp": str(at),
        "webhook-signature": signer.signature("00j4k-7h", at, body),
    }


def verifies(secret: str, body: bytes, given: Mapping[str, str]) -> bool:
    try:
        Webhook(secret).verify(body, dict(given))
    except WebhookVerificationError:
        return False
    return True


def npm_verifies(*cases: Mapping[str, Any]) -> list[bool]:
    done = subprocess.run(
        [node_binary(), HERE / "verify.mjs"],
        env=os.environ | {"PEER_PACKAGES": f"{packages()}/"},
        input="".join(json.dumps(case) + "\n" for case in cases),
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()[1:]]


@pytest.mark.parametrize("body", BODIES, ids=len)
def test_the_library_of_pypi_verifies(body: bytes) -> None:
    assert verifies(SECRET, body, headers(body, SECRET))
    assert not verifies(OTHER, body, headers(body, SECRET))
    assert not verifies(SECRET, body + b" ", headers(body, SECRET))
    assert not verifies(SECRET, body, headers(body, SECRET) | {"webhook-id": "00j4k-8h"})
    assert not verifies(SECRET, body, headers(body, SECRET, timestamp=int(time.time()) - 600))


async def test_the_library_of_npm_verifies() -> None:
    both = [(body, headers(body, SECRET, PRIVATE, OTHER)) for body in BODIES]
    cases = [
        {"secret": secret, "headers": given, "body": body.decode()}
        for body, given in both
        for secret in (SECRET, OTHER)
    ]
    broken = [
        {"secret": SECRET, "headers": given | {"webhook-id": "00j4k-8h"}, "body": body.decode()} for body, given in both
    ]
    answers = await asyncio.to_thread(npm_verifies, *cases, *broken)
    assert answers == [True] * len(cases) + [False] * len(broken)


def test_while_a_secret_is_changed_whoever_knows_one_of_them_verifies() -> None:
    given = headers(b"{}", SECRET, OTHER, PRIVATE)
    assert [each.partition(",")[0] for each in given["webhook-signature"].split(" ")] == ["v1", "v1", "v1a"]
    assert verifies(SECRET, b"{}", given)
    assert verifies(OTHER, b"{}", given)


def test_a_private_key_signs_what_its_public_key_verifies() -> None:
    given = headers(b"{}", PRIVATE)
    scheme, _, signature = given["webhook-signature"].partition(",")
    assert scheme == "v1a"
    signed = f"00j4k-7h.{given['webhook-timestamp']}.".encode() + b"{}"
    ED25519.public_key().verify(base64.b64decode(signature), signed)
    with pytest.raises(InvalidSignature):
        ED25519.public_key().verify(base64.b64decode(signature), signed + b" ")
    with pytest.raises(InvalidSignature):
        Ed25519PrivateKey.generate().public_key().verify(base64.b64decode(signature), signed)


@settings(deadline=None)
@given(st.binary(min_size=24, max_size=64), st.text(), st.integers(0, 2**40).map(str))
def test_our_signature_is_the_librarys(secret: bytes, body: str, number: str) -> None:
    text, at = "whsec_" + base64.b64encode(secret).decode(), int(time.time())
    theirs = Webhook(text).verify
    given = {
        "webhook-id": number,
        "webhook-timestamp": str(at),
        "webhook-signature": Signer([signing_key(text)]).signature(number, at, json.dumps(body).encode()),
    }
    assert theirs(json.dumps(body), given) == body


def test_no_id_has_a_dot() -> None:
    with pytest.raises(AssertionError):
        Signer([signing_key(SECRET)]).signature("00j4k.7", 1, b"{}")


def signers(**said: Any) -> Signers:
    return Signers(WebhookPart.model_validate(said), lambda secret: secret.read(ENVIRONMENT))


KNOWN = [
    {"url": "https://a.example/", "secrets": [{"env": "SECRET"}]},
    {"url": "https://a.example/two", "secrets": [{"env": "OTHER"}]},
    {"url": "https://a.example/two/deep/", "secrets": [{"env": "SECRET"}, {"env": "OTHER"}]},
    {"url": "https://a.example:8443/", "secrets": [{"env": "OTHER"}]},
]


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("https://a.example", [SECRET]),
        ("https://A.example:443/any?x=/two", [SECRET]),
        ("https://a.example/two", [OTHER]),
        ("https://a.example/two?x", [OTHER]),
        ("https://a.example/two/more", [OTHER]),
        ("https://a.example/twofold", [SECRET]),  # not below it
        ("https://a.example/two/deep", [OTHER]),  # not below it either: no slash
        ("https://a.example/two/deep/er", [SECRET, OTHER]),
        ("https://a.example/TWO", [SECRET]),
        ("https://a.example:8443/", [OTHER]),
        ("https://b.a.example/", None),
        ("https://a.example.evil.example/", None),
        ("http://a.example/", None),
        ("https://xa.example/", None),
    ],
)
def test_an_endpoint_is_signed_for_with_its_own_secrets(url: str, secrets: list[str] | None) -> None:
    signer = signers(endpoints=KNOWN).of(read_url(url))
    assert (signer and signer.signature("7", 7, b"{}")) == (
        secrets and Signer([signing_key(each) for each in secrets]).signature("7", 7, b"{}")
    )
    others = signers(endpoints=KNOWN, secrets=[{"env": "PRIVATE"}]).of(read_url(url))
    assert others
    assert ("v1a" in others.signature("7", 7, b"{}")) == (secrets is None)
