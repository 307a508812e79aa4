"""JSON pointers (RFC 6901): where in a document something stands."""

from __future__ import annotations

import re

_ARRAY_INDEX = re.compile(r"0|[1-9][0-9]{0,5}")
PATTERN = r"^(/([^~/]|~[01])*)*$"


def look(document: object, pointer: str) -> object:
    """What stands there, the whole document for an empty pointer; None where nothing does."""
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict):
            document = document.get(key)
        elif isinstance(document, list) and _ARRAY_INDEX.fullmatch(key) and int(key) < len(document):
            document = document[int(key)]
        else:
            return None
    return document


def text(document: object, pointer: str) -> str:
    """A string, number or boolean that stands there, as text; empty for anything else, and for an empty pointer."""
    found = look(document, pointer) if pointer else None
    if isinstance(found, bool):
        return str(found).lower()
    return str(found) if isinstance(found, str | int | float) else ""
