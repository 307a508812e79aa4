"""What becomes of each field of a notification on each platform, and what platforms would refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clarion_core.domain.medium import PLATFORMS, Medium
from clarion_core.push import apns, fcm, web
from clarion_core.push.limits import PAYLOAD_MAX, WEB_PAYLOAD_MAX, problems, size
from clarion_core.push.notification import merged
from support.push.fcm_schema import violations
from support.push.notifications import EVERYTHING, notification

OURS = {
    "delivery": "00j4k-0",
    "link": "https://shop.example/orders/7",
    "image": "https://shop.example/7.png",
    "thread": "orders",
    "buttons": [
        {"id": "track", "title": "Track", "link": "https://shop.example/track/7"},
        {"id": "later", "title": "Later"},
    ],
}


def everything(**changes: Any) -> Any:
    return notification(**(EVERYTHING | changes))


def test_fcm_is_told_everything() -> None:
    message = fcm.message(everything(), token="t", lifetime_s=3_600)
    assert json.loads(message["data"].pop("clarion")) == OURS
    assert message == {
        "token": "t",
        "notification": {
            "title": "Your order is on its way",
            "body": "Größe M • 2 Stück 🎁",
            "image": "https://shop.example/7.png",
        },
        "data": {"order": "7"},
        "android": {
            "priority": "HIGH",
            "collapse_key": "order-7",
            "ttl": "3600s",
            "notification": {
                "tag": "order-7",
                "channel_id": "orders",
                "click_action": "ORDER",
                "sound": "default",
                "notification_count": 3,
            },
        },
        "apns": {
            "headers": {"apns-push-type": "alert", "apns-priority": "10", "apns-collapse-id": "order-7"},
            "payload": {
                "aps": {
                    "badge": 3,
                    "sound": "default",
                    "thread-id": "orders",
                    "category": "ORDER",
                    "mutable-content": 1,
                }
            },
        },
        "webpush": {
            "headers": {"Urgency": "high", "TTL": "3600"},
            "notification": {
                "tag": "order-7",
                "actions": [{"action": "track", "title": "Track"}, {"action": "later", "title": "Later"}],
            },
            "fcm_options": {"link": "https://shop.example/orders/7"},
        },
    }


def test_apns_is_told_everything() -> None:
    assert apns.payload(everything()) == {
        "order": "7",
        "clarion": OURS,
        "aps": {
            "alert": {"title": "Your order is on its way", "body": "Größe M • 2 Stück 🎁"},
            "badge": 3,
            "sound": "default",
            "thread-id": "orders",
            "category": "ORDER",
            "mutable-content": 1,
        },
    }


def test_a_browser_is_told_everything() -> None:
    assert web.payload(everything()) == {
        "web_push": 8030,
        "notification": {
            "title": "Your order is on its way",
            "body": "Größe M • 2 Stück 🎁",
            "navigate": "https://shop.example/orders/7",
            "image": "https://shop.example/7.png",
            "tag": "order-7",
            "actions": [
                {"action": "track", "title": "Track", "navigate": "https://shop.example/track/7"},
                {"action": "later", "title": "Later", "navigate": "https://shop.example/orders/7"},
            ],
            "data": {"order": "7", "clarion": OURS},
        },
        "app_badge": 3,
    }


def test_nothing_is_shown_of_a_silent_notification() -> None:
    silent = everything(silent=True)
    message = fcm.message(silent, token="t")
    assert "notification" not in message
    assert message["android"] == {"priority": "HIGH", "collapse_key": "order-7"}
    assert message["apns"] == {
        "headers": {"apns-push-type": "background", "apns-priority": "5"},
        "payload": {"aps": {"content-available": 1}},
    }
    assert message["webpush"] == {"headers": {"Urgency": "high"}}
    assert apns.payload(silent)["aps"] == {"content-available": 1}
    assert web.payload(silent) == {"data": {"order": "7", "clarion": OURS}}


def test_without_a_collapse_id_a_second_copy_of_a_delivery_replaces_the_first() -> None:
    plain = notification()
    message = fcm.message(plain, token="t")
    assert message["android"]["notification"]["tag"] == "00j4k-0"
    assert "collapse_key" not in message["android"], "FCM keeps four of them a device"
    assert message["apns"]["headers"]["apns-collapse-id"] == "00j4k-0"
    assert web.payload(plain)["notification"]["tag"] == "00j4k-0"


def test_a_notification_without_a_link_needs_the_service_worker() -> None:
    assert "web_push" not in web.payload(notification())


def test_a_badge_of_nothing_takes_the_number_away() -> None:
    nothing = notification(badge=0)
    assert fcm.message(nothing)["android"]["notification"]["notification_count"] == 0
    assert apns.payload(nothing)["aps"]["badge"] == 0
    assert web.payload(nothing)["app_badge"] == 0


def test_a_link_that_fcm_would_refuse_is_in_the_data_alone() -> None:
    assert "fcm_options" not in fcm.message(notification(link="shop://orders/7"))["webpush"]


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # RFC 7396, Appendix A, those that are objects
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_overrides_are_a_merge_patch(target: Any, patch: Any, result: Any) -> None:
    assert merged(target, patch) == result


def test_overrides_reach_every_depth_and_never_the_token() -> None:
    overrides = {"android": {"notification": {"color": "#ff0000", "sound": None}}, "token": "another"}
    message = fcm.message(everything(overrides=overrides), token="t")
    assert message["token"] == "t"
    assert message["android"]["notification"] == {
        "tag": "order-7",
        "channel_id": "orders",
        "click_action": "ORDER",
        "notification_count": 3,
        "color": "#ff0000",
    }
    assert violations({"message": message}) == []
    level = {"aps": {"interruption-level": "time-sensitive"}}
    assert apns.payload(everything(overrides=level))["aps"]["interruption-level"] == "time-sensitive"
    assert web.payload(everything(overrides={"mutable": True}))["mutable"] is True


@pytest.mark.parametrize("medium", PLATFORMS)
def test_the_largest_payload_is_well_and_a_byte_more_is_not(medium: Medium) -> None:
    most = WEB_PAYLOAD_MAX if medium is Medium.WEB_PUSH else PAYLOAD_MAX
    fits = notification(body="x" * (most + 1 - size(medium, notification(body="x"))))
    assert size(medium, fits) == most
    assert problems(medium, fits) == []
    [problem] = problems(medium, notification(body=fits.body + "x"))
    assert problem.field == ""
    assert f"has {most + 1:,} bytes; {most:,} are the most" in problem.words


def test_of_the_parts_for_one_kind_of_device_the_largest_counts() -> None:
    plain = notification()
    apart = notification(overrides={"android": {"notification": {"ticker": "x" * 3_000}}})
    both = notification(
        overrides={"android": {"notification": {"ticker": "x" * 3_000}}, "apns": {"payload": {"x": "x" * 2_000}}}
    )
    assert size(Medium.FCM, plain) + 3_000 <= size(Medium.FCM, apart) == size(Medium.FCM, both)


@pytest.mark.parametrize(
    ("medium", "changes", "field"),
    [
        (Medium.FCM, {"data": {"from": "x"}}, "data.from"),
        (Medium.FCM, {"data": {"google.x": "x"}}, "data.google.x"),
        (Medium.FCM, {"data": {"gcm.notification.x": "x"}}, "data.gcm.notification.x"),
        (Medium.FCM, {"overrides": {"topic": "all"}}, "overrides.topic"),
        (Medium.APNS, {"data": {"aps": "x"}}, "data.aps"),
        (Medium.WEB_PUSH, {"data": {"clarion": "x"}}, "data.clarion"),
        (Medium.APNS, {"collapse_id": "ä" * 33}, "collapse_id"),
    ],
)
def test_what_a_platform_would_refuse_is_named(medium: Medium, changes: dict[str, Any], field: str) -> None:
    assert [problem.field for problem in problems(medium, notification(**changes))] == [field]


@pytest.mark.parametrize(
    ("medium", "key"), [(Medium.FCM, "aps"), (Medium.APNS, "from"), (Medium.WEB_PUSH, "from"), (Medium.WEB_PUSH, "aps")]
)
def test_what_one_platform_refuses_another_may_take(medium: Medium, key: str) -> None:
    assert problems(medium, notification(data={key: "x"})) == []
