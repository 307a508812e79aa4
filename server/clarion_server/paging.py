"""Page sizes and page tokens. A token is bound to the method and arguments it was given for."""

from __future__ import annotations

import base64
import binascii
import hashlib

import msgspec

from clarion_core.domain.errors import FieldProblem, PageTokenInvalid

DEFAULT_SIZE, MAX_SIZE = 50, 500


def page_size(asked: int) -> int:
    """What a request's `page_size` means."""
    return min(asked, MAX_SIZE) if asked else DEFAULT_SIZE


def make_token(position: list[int | str], *bound_to: object) -> str:
    """A token for the page behind `position`, of no use for other arguments than `bound_to`."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode([_digest(bound_to), *position])).decode().rstrip("=")


def read_token(token: str, *bound_to: object) -> list[int | str] | None:
    """The position in a token, None for the first page; `PageTokenInvalid` if it is not one for these arguments."""
    if not token:
        return None
    try:
        blob = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        digest, *position = msgspec.msgpack.decode(blob, type=list[int | str])
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise _invalid() from None
    if digest != _digest(bound_to):
        raise _invalid()
    return position


def _digest(bound_to: tuple[object, ...]) -> str:
    return hashlib.sha256(repr(bound_to).encode()).hexdigest()[:12]


def _invalid() -> PageTokenInvalid:
    description = "is not a token that this method gave for these arguments; start without one"
    problem = FieldProblem(path="page_token", description=description)
    return PageTokenInvalid(f"page_token: {description}", problems=[problem])
