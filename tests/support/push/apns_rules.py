"""What APNs asks of a request ("Sending notification requests to APNs", "Generating a remote notification")."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import jwt

from support.push.notifications import p256_private_key

TEAM, KEY_ID, TOPIC = "TEAM123456", "KEYID12345", "example.shop.app"
PUSH_TYPES = {"alert", "background", "location", "voip", "complication", "fileprovider", "mdm", "liveactivity"}
PUSH_TYPES |= {"pushtotalk", "widgets", "controls"}
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
KNOWN_HEADERS = {
    *(":method", ":scheme", ":authority", ":path", "authorization", "content-type"),
    *("apns-id", "apns-push-type", "apns-priority", "apns-topic", "apns-expiration", "apns-collapse-id"),
}
APS = {
    *("alert", "badge", "sound", "thread-id", "category", "content-available", "mutable-content"),
    *("target-content-id", "interruption-level", "relevance-score", "filter-criteria"),
}


def problem_of_headers(pairs: Sequence[tuple[str, str]], skew_s: float = 0.0) -> tuple[int, str] | None:
    """The status and reason for which APNs would refuse headers, by a clock that is so much before ours."""
    headers = dict(pairs)
    if any(count > 1 for count in Counter(name for name, _ in pairs).values()) or headers.keys() - KNOWN_HEADERS:
        return 400, "DuplicateHeaders"
    if headers.get(":method") != "POST":
        return 405, "MethodNotAllowed"
    if not re.fullmatch(r"/3/device/[0-9a-fA-F]+", headers.get(":path", "")) or headers.get(":scheme") != "https":
        return 404, "BadPath"
    return _problem_of_token(headers.get("authorization", ""), skew_s) or _problem_of_values(headers)


def _problem_of_token(authorization: str, skew_s: float) -> tuple[int, str] | None:
    if not authorization.startswith("bearer "):
        return 403, "MissingProviderToken"
    token = authorization.removeprefix("bearer ")
    try:
        claims = jwt.decode(
            token, p256_private_key("apns").public_key(), algorithms=["ES256"], options={"verify_iat": False}
        )
        kid = jwt.get_unverified_header(token).get("kid")
    except jwt.PyJWTError:
        return 403, "InvalidProviderToken"
    if kid != KEY_ID or claims.get("iss") != TEAM or not isinstance(claims.get("iat"), int):
        return 403, "InvalidProviderToken"
    return (403, "ExpiredProviderToken") if time.time() + skew_s - claims["iat"] > 3_600 else None


def _problem_of_values(headers: dict[str, str]) -> tuple[int, str] | None:
    push_type = headers.get("apns-push-type", "")
    rules = {
        "InvalidPushType": push_type in PUSH_TYPES,
        "MissingTopic": "apns-topic" in headers,
        "TopicDisallowed": headers.get("apns-topic") == TOPIC,
        "BadPriority": headers.get("apns-priority") in (("5",) if push_type == "background" else ("1", "5", "10")),
        "BadMessageId": bool(UUID.fullmatch(headers.get("apns-id", ""))),
        "BadExpirationDate": headers.get("apns-expiration", "0").isdecimal(),
        "BadCollapseId": len(headers.get("apns-collapse-id", "").encode()) <= 64,
    }
    broken = [reason for reason, kept in rules.items() if not kept]
    return (400, broken[0]) if broken else None


def problem_of_payload(push_type: str, body: bytes) -> tuple[int, str] | None:
    """The status and reason for which it would refuse a payload."""
    if not body:
        return 400, "PayloadEmpty"
    if len(body) > 4_096:
        return 413, "PayloadTooLarge"
    aps = json.loads(body).get("aps")
    return None if isinstance(aps, dict) and _is_of(push_type, aps) else (400, "BadPayload")


def _is_of(push_type: str, aps: dict[str, Any]) -> bool:
    if not aps.keys() <= APS:
        return False
    if push_type == "background":
        return aps == {"content-available": 1}
    alert, badge = aps.get("alert", {}), aps.get("badge", 0)
    return alert.keys() <= {"title", "subtitle", "body"} and isinstance(badge, int) and bool(aps)
