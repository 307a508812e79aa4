"""Plain Python to the contract's messages."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from clarion.v1.trigger_pb2 import Recipient

JsonLike: TypeAlias = Any
"""What a context may hold: None, bool, int, float, str, an aware datetime, and lists and mappings of these."""

RecipientLike: TypeAlias = Recipient | Mapping[str, JsonLike]
"""A `Recipient`, or a mapping with its field names: `{"user_id": "7", "addresses": {"email": "ana@example.com"}}`.

Devices may say `fcm`, `apns` or `web` for their platform; a browser's subscription may be a mapping.
"""


def to_struct(values: Mapping[str, JsonLike] | None) -> Struct | None:
    """The mapping as `google.protobuf.Struct`; numbers become IEEE 754 doubles. ValueError names what does not fit."""
    if values is None:
        return None
    if not isinstance(values, Mapping):
        raise ValueError(f"context: must be a mapping, is a {type(values).__name__}")
    struct = Struct()
    struct.update(_plain(values, ""))
    return struct


def to_recipient(recipient: RecipientLike) -> Recipient:
    """The recipient as a message. ValueError where a key is unknown or a value is of a wrong type."""
    if isinstance(recipient, Recipient):
        return recipient
    if not isinstance(recipient, Mapping):
        raise ValueError(f"recipient: must be a mapping, is a {type(recipient).__name__}")
    values = _plain(recipient, "")
    if isinstance(devices := values.get("devices"), list):
        values["devices"] = [_device(each) for each in devices]
    try:
        return ParseDict(values, Recipient())
    except ParseError as error:
        raise ValueError(f"recipient: {error}") from None


def to_timestamp(instant: datetime | None, name: str) -> Timestamp | None:
    """The instant as a message; None stays None. ValueError where it has no time zone."""
    if instant is None:
        return None
    if instant.utcoffset() is None:
        raise ValueError(f"{name}: a datetime needs a time zone")
    made = Timestamp()
    made.FromDatetime(instant)
    return made


def new_request_id() -> str:
    """A request id nobody used before."""
    return str(uuid.uuid4())


def _device(device: JsonLike) -> JsonLike:
    """A device with its platform as the contract writes it, and a subscription as text."""
    if not isinstance(device, dict):
        return device
    platform, token = device.get("platform"), device.get("token")
    named = {"platform": f"PLATFORM_{platform.upper()}"} if platform in ("fcm", "apns", "web") else {}
    return device | named | ({"token": json.dumps(token)} if isinstance(token, dict) else {})


def _plain(value: JsonLike, path: str) -> JsonLike:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case datetime():
            return _instant(value, path)
        case Mapping():
            return {str(key): _plain(each, f"{path}.{key}" if path else str(key)) for key, each in value.items()}
        case Sequence() if not isinstance(value, bytes | bytearray):
            return [_plain(each, f"{path}[{index}]") for index, each in enumerate(value)]
    raise ValueError(f"{path}: a {type(value).__name__} has no JSON form")


def _instant(value: datetime, path: str) -> str:
    if value.utcoffset() is None:
        raise ValueError(f"{path}: a datetime needs a time zone")
    return value.isoformat()
