"""GOAWAY (RFC 9113 §6.8), taken out of what a server sends before h2 sees it.

A server that goes away still answers what it counts; h2 takes no frame after a GOAWAY, and those answers with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from h2.errors import ErrorCodes

_HEAD, _GOAWAY = 9, 0x7


@dataclass(frozen=True, slots=True, kw_only=True)
class GoAway:
    """The server takes no more requests, and will not act on those after `last_stream_id`. `words` is what it adds."""

    last_stream_id: int
    error_code: ErrorCodes | int
    words: str


def split(data: bytes) -> tuple[list[bytes | GoAway], bytes]:
    """The whole frames in the data, each GOAWAY by itself, and the bytes of a frame that has only begun."""
    found: list[bytes | GoAway] = []
    begin = position = 0
    while position + _HEAD <= len(data):
        end = position + _HEAD + int.from_bytes(data[position : position + 3])
        if end > len(data):
            break
        if data[position + 3] == _GOAWAY and end - position >= _HEAD + 8:
            found += [data[begin:position]] if position > begin else []
            found.append(_read(data[position + _HEAD : end]))
            begin = end
        position = end
    found += [data[begin:position]] if position > begin else []
    return found, data[position:]


def _read(payload: bytes) -> GoAway:
    number, code = int.from_bytes(payload[:4]) & 0x7FFFFFFF, int.from_bytes(payload[4:8])
    known = ErrorCodes(code) if code in ErrorCodes.__members__.values() else code
    return GoAway(last_stream_id=number, error_code=known, words=payload[8:208].decode("utf-8", "replace"))
