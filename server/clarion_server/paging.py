"""Page sizes and page tokens. A token is bound to the method and arguments it was given for."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import TypeVar

import msgspec
from google.protobuf.message import Message

from clarion_core.domain.errors import FieldProblem, PageTokenInvalid

DEFAULT_SIZE, MAX_SIZE = 50, 500
PAGE_BYTES = 2 << 20  # clients take answers of 4 MiB unless told otherwise

PositionT = TypeVar("PositionT", bound=tuple[int | str, ...])
MessageT = TypeVar("MessageT", bound=Message)


def page_size(asked: int) -> int:
    """What a request's `page_size` means."""
    return min(asked, MAX_SIZE) if asked else DEFAULT_SIZE


def fitting(messages: Sequence[MessageT]) -> Sequence[MessageT]:
    """As many of a page's messages as an answer may carry, one at least."""
    size = 0
    for index, message in enumerate(messages):
        size += message.ByteSize()
        if index and size > PAGE_BYTES:
            return messages[:index]
    return messages


def make_token(position: tuple[int | str, ...], *bound_to: object) -> str:
    """A token for the page behind `position`, of no use for other arguments than `bound_to`."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode((_digest(bound_to), position))).decode().rstrip("=")


def read_token(token: str, shape: type[PositionT], *bound_to: object) -> PositionT | None:
    """The position in a token, None for the first page; `PageTokenInvalid` if it is not one for these arguments.

    `shape` is the position's type: tokens are not signed, and what a caller makes up must not get further than here.
    """
    if not token:
        return None
    try:
        blob = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        digest, position = msgspec.msgpack.decode(blob, type=tuple[str, shape])  # type: ignore[valid-type]  # the shape is a value
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
