"""What a file must be to go with an e-mail."""

from __future__ import annotations

import re

# A type and a few parameters, as in `text/calendar; method=REQUEST; charset=utf-8` (RFC 2045 §5.1).
_TYPE = re.compile(r"([a-z]+)/[A-Za-z0-9][A-Za-z0-9.+_-]{0,100}(?:; ?[A-Za-z0-9-]{1,30}=[A-Za-z0-9._-]{1,60}){0,4}")
_COMPOSITE = frozenset({"multipart", "message"})  # RFC 2046 §5: those have parts, and may not be base64
_CONTENT_ID = re.compile(r"[A-Za-z0-9._+-]{1,100}(?:@[A-Za-z0-9.-]{1,100})?")


def type_problem(content_type: str) -> str:
    """What is wrong with a content type, or nothing."""
    found = _TYPE.fullmatch(content_type)
    return "" if found and found[1] not in _COMPOSITE else "is no content type that a file can have"


def id_problem(content_id: str) -> str:
    """What is wrong with a content id, or nothing; there need not be one."""
    return "" if not content_id or _CONTENT_ID.fullmatch(content_id) else "is malformed; write it like logo"
