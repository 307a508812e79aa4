"""What FCM's HTTP v1 API takes, by the field names and types of its discovery document (revision 20261023).

fcm_v1.json has those of `SendMessageRequest` and of all that it holds. Unknown fields are refused, as Google does.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

SCHEMAS: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "fcm_v1.json").read_text("utf-8"))

_DURATION = re.compile(r"\d+(\.\d{1,9})?s")
_RESERVED = re.compile(r"from|message_type|google\..*|gcm\.notification\..*", re.DOTALL)
_TYPES = {"string": str, "boolean": bool, "integer": int, "number": (int, float), "object": dict, "time": str}


def violations(request: Any) -> list[str]:
    """The paths of what does not fit in a request; those of a message that fits are none."""
    found = _of_schema("SendMessageRequest", request, "")
    if found:
        return found
    message = request.get("message") or {}
    targets = [name for name in ("token", "topic", "condition", "fid") if message.get(name)]
    found += [] if len(targets) == 1 else ["message"]
    found += [f"message.data.{key}" for key in message.get("data", {}) if _RESERVED.fullmatch(key)]
    ttl = message.get("android", {}).get("ttl")
    if ttl and float(ttl[:-1]) > 2_419_200:
        found.append("message.android.ttl")
    link = message.get("webpush", {}).get("fcm_options", {}).get("link", "https://")
    return found if link.startswith("https://") else [*found, "message.webpush.fcm_options.link"]


def payload_size(message: dict[str, Any]) -> int:
    """Bytes of keys and values of what all devices get ("Message too big" in the reference of ErrorCode)."""
    of_all = {name: message.get(name, {}) for name in ("notification", "data")}
    return len(json.dumps(of_all, ensure_ascii=False, separators=(",", ":")).encode())


def _of_schema(name: str, value: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [path]
    found = []
    for key, each in value.items():
        place = f"{path}.{key}".lstrip(".")
        kind = SCHEMAS[name].get(_camel(key))
        found += [place] if kind is None else _of_kind(kind, each, place)
    return found


def _of_kind(kind: Any, value: Any, path: str) -> list[str]:
    match kind:
        case {"ref": name}:
            return _of_schema(name, value, path)
        case {"enum": values}:
            return [] if value in values else [path]
        case {"list": of}:
            return [one for n, each in enumerate(value) for one in _of_kind(of, each, f"{path}[{n}]")]
        case "map":
            strings = isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
            return [] if strings else [path]
        case "duration":
            return [] if isinstance(value, str) and _DURATION.fullmatch(value) else [path]
    fits = isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
    return [] if fits else [path]


def _camel(name: str) -> str:
    """JSON names of protobuf are taken in both spellings."""
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)
