"""Text that callers choose, in bounds."""

from __future__ import annotations


def cut(text: str, most: int) -> str:
    """The text in at most that many bytes of UTF-8, and an ellipsis where something is missing."""
    encoded = text.encode()
    return text if len(encoded) <= most else encoded[:most].decode(errors="ignore") + "…"
