"""Providers of push in a configuration: keys of the right kind, and addresses that are safe to send them to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from clarion_core.configuration.file import ChannelsInvalid, read
from clarion_core.configuration.keys import p256_key, rsa_key
from clarion_core.domain.medium import PLATFORMS, Medium
from support.push.notifications import p256_private_key, pem, rsa_private_key

KEY = {"env": "KEY"}
APNS = {"key": KEY, "key_id": "KEYID12345", "team_id": "TEAM123456", "topic": "example.shop.app"}
FCM = {"credentials": KEY}
WEB = {"key": KEY, "subject": "mailto:ops@shop.example"}
ENCRYPTED = p256_private_key("x").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))


def account(**changes: Any) -> str:
    values = {"client_email": "a@b.example", "project_id": "shop", "private_key": pem(rsa_private_key())}
    return json.dumps({name: value for name, value in (values | changes).items() if value is not None})


def file_of(path: Path, kind: str, fields: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump({"push": {"providers": [{"name": "one", kind: fields}]}}), "utf-8")
    return path


def problem(path: Path, kind: str, fields: dict[str, Any], key: str | None = None) -> str:
    with pytest.raises(ChannelsInvalid) as refused:
        read(file_of(path, kind, fields), None if key is None else {"KEY": key})
    [line] = refused.value.lines
    assert key is None or len(key) < 5 or key not in line
    return line.removeprefix(f"{path}: push.providers[0].{kind}.")


@pytest.mark.parametrize(
    ("kind", "fields", "key"),
    [
        ("fcm", FCM, account()),
        ("apns", APNS, pem(p256_private_key())),
        ("webpush", WEB, pem(p256_private_key())),
        ("webpush", WEB, "A" * 42 + "E"),
    ],
)
def test_a_key_of_the_right_kind_is_taken(tmp_path: Path, kind: str, fields: dict[str, Any], key: str) -> None:
    push = read(file_of(tmp_path / "channels.yaml", kind, fields), {"KEY": key}).push
    assert push
    medium = push.providers[0].medium
    assert [len(push.configuration(each).providers) for each in PLATFORMS] == [each is medium for each in PLATFORMS]
    assert push.configuration(Medium.FCM).channel == "push"


@pytest.mark.parametrize(
    ("kind", "fields", "key"),
    [
        ("fcm", FCM, "{}"),
        ("fcm", FCM, "[]"),
        ("fcm", FCM, "no JSON"),
        ("fcm", FCM, account(project_id=None)),
        ("fcm", FCM, account(private_key="none")),
        ("fcm", FCM, account(private_key=pem(p256_private_key()))),
        ("apns", APNS, pem(rsa_private_key())),
        ("apns", APNS, pem(ec.generate_private_key(ec.SECP384R1()))),
        ("apns", APNS, ENCRYPTED.decode()),
        ("apns", APNS, "none"),
        ("webpush", WEB, "A" * 42),
        ("webpush", WEB, "A" * 43),
        ("webpush", WEB, "ä" * 43),
    ],
)
def test_a_key_of_another_kind_is_named(tmp_path: Path, kind: str, fields: dict[str, Any], key: str) -> None:
    name = "credentials" if kind == "fcm" else "key"
    assert problem(tmp_path / "channels.yaml", kind, fields, key).startswith(f"{name}: must be where the ")


def test_a_key_is_not_looked_for_where_it_is_not_needed(tmp_path: Path) -> None:
    assert read(file_of(tmp_path / "channels.yaml", "apns", APNS)).push


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("fcm", FCM | {"url": "http://fcm.example"}, "url: must be an https:// URL"),
        ("fcm", FCM | {"url": "https://"}, "url: must be an https:// URL"),
        ("fcm", FCM | {"url": "https://a@b.example"}, "url: must be an https:// URL"),
        ("fcm", FCM | {"url": "https://fcm.example:x"}, "url: must be an https:// URL"),
        ("fcm", FCM | {"project": "Shop/x"}, "project: must be a project id"),
        ("apns", APNS | {"key_id": "short"}, "key_id: must be 10 capital letters and digits"),
        ("apns", APNS | {"environment": "sandbox"}, "environment: must be production or development"),
        ("apns", APNS | {"topic": ""}, "topic: must be the app's bundle id"),
        ("apns", APNS | {"key": "secret"}, "key: must not stand here itself"),
        ("webpush", WEB | {"subject": "ops@shop.example"}, "subject: must be mailto: and an address"),
        ("webpush", WEB | {"services": []}, "services: must be a list of hosts"),
        ("webpush", WEB | {"services": ["http://x"]}, "services: must be a list of hosts"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, kind: str, fields: dict[str, Any], words: str) -> None:
    assert problem(tmp_path / "channels.yaml", kind, fields).startswith(words)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost:1/", "https://fcm.example/base/"])
def test_plain_http_is_for_this_machine_alone(tmp_path: Path, url: str) -> None:
    push = read(file_of(tmp_path / "channels.yaml", "fcm", FCM | {"url": url})).push
    assert push
    assert push.providers[0].fcm
    assert push.providers[0].fcm.url == url.rstrip("/")


def test_keys_are_what_they_were() -> None:
    assert rsa_key(pem(rsa_private_key())).private_numbers() == rsa_private_key().private_numbers()
    key = p256_private_key()
    assert p256_key(pem(key)).private_numbers() == key.private_numbers()


def test_the_pages_example_fits(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "push.md").read_text("utf-8")
    path = tmp_path / "channels.yaml"
    path.write_text(page.partition("```yaml\n")[2].partition("```")[0], "utf-8")
    push = read(path).push
    assert push
    assert [provider.kind for provider in push.providers] == ["fcm", "apns", "webpush"]
    assert push.providers[0].fcm
    assert push.providers[0].fcm.credentials.file == tmp_path / "secrets" / "firebase.json"
