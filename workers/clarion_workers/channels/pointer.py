"""JSON pointers (RFC 6901)."""

from __future__ import annotations

from typing import Any


def at(document: Any, pointer: str) -> Any:
    """The value that the pointer names; None where there is none."""
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict):
            document = document.get(key)
        elif isinstance(document, list) and key.isascii() and key.isdecimal() and int(key) < len(document):
            document = document[int(key)]
        else:
            return None
    return document
