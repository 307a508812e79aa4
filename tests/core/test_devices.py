"""Tokens of devices: what each platform's look like."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from clarion_core.devices import MAX_TOKEN, check_device
from clarion_core.domain.medium import Medium
from clarion_core.domain.recipient import Device


def octets(count: int) -> str:
    return base64.urlsafe_b64encode(b"\x04" * count).decode().rstrip("=")


def subscription(**changes: Any) -> str:
    values = {
        "endpoint": "https://push.example/send/abc",
        "expirationTime": None,
        "keys": {"p256dh": octets(65), "auth": octets(16)},
    }
    return json.dumps(values | changes)


@pytest.mark.parametrize(
    ("platform", "token"),
    [
        (Medium.FCM, "dQw4w9:APA91bH-_x" + "A" * 140),
        (Medium.APNS, "0f" * 32),
        (Medium.APNS, "AB" * 80),
        (Medium.WEB_PUSH, subscription()),
        (Medium.WEB_PUSH, subscription(keys={"p256dh": octets(65) + "=", "auth": octets(16) + "=="})),
    ],
)
def test_a_token_as_the_platform_gives_it_is_taken(platform: Medium, token: str) -> None:
    check_device(Device(platform=platform, token=token))


@pytest.mark.parametrize(
    ("platform", "token", "says"),
    [
        (Medium.FCM, "", "is required"),
        (Medium.FCM, "two words", "FCM registration token"),
        (Medium.FCM, "a" * (MAX_TOKEN + 1), "longer than 4,096"),
        (Medium.APNS, "0f" * 32 + "0", "hexadecimal"),
        (Medium.APNS, "<0f0f 0f0f>", "hexadecimal"),
        (Medium.WEB_PUSH, "https://push.example/send/abc", "JSON.stringify"),
        (Medium.WEB_PUSH, "[]", "JSON.stringify"),
        (Medium.WEB_PUSH, "\ud800", "JSON.stringify"),
        (Medium.WEB_PUSH, subscription(keys=None), "JSON.stringify"),
        (Medium.WEB_PUSH, subscription(endpoint="http://push.example"), "its endpoint does not begin with https"),
        (Medium.WEB_PUSH, subscription(keys={"auth": octets(16)}), "p256dh must be 65 octets"),
        (Medium.WEB_PUSH, subscription(keys={"p256dh": octets(65), "auth": octets(15)}), "auth must be 16 octets"),
        (Medium.WEB_PUSH, subscription(keys={"p256dh": "ä" * 87, "auth": octets(16)}), "p256dh must be"),
    ],
)
def test_what_can_t_be_a_token_is_refused_without_repeating_it(platform: Medium, token: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as error:
        check_device(Device(platform=platform, token=token))
    assert not token or token not in str(error.value)
