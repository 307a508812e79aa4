"""What a process that renders and the one it works for say to each other: msgpack with its length before it.

To the child: `Render` and `Check`, any number ahead of the answers. From the child: lists of answers in the order of
the work, several lists for one frame where it takes long; the first list is empty and says that the child is there.
"""

from __future__ import annotations

from typing import Generic

import msgspec

from clarion_core.content.types import (
    LimitReached,
    Plain,
    RenderedTexts,
    RenderFailure,
    Revision,
    TemplateCheck,
    TemplateProblem,
    ValuesT,
)
from clarion_core.domain.medium import Channel

LENGTH = 4
"""Bytes of a frame's length, the most significant first."""

OUT_OF_MEMORY = 3
"""Exit code of a child that had no memory left to say so."""

MESSAGE = "the message"
"""Where something happens that is not in one of the templates."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What rendering may cost: CPU seconds for a message, CPU seconds to compile a template, MiB for everything."""

    render_s: float
    compile_s: float
    memory_mib: int


class Row(msgspec.Struct, Generic[ValuesT], array_like=True, frozen=True, gc=False):
    """A render request; `shared` is its place in the frame's list of shared contexts."""

    shared: int
    user_id: str
    email: str
    locale: str
    profile: ValuesT
    context: ValuesT
    phone: str


class Render(msgspec.Struct, Generic[ValuesT], array_like=True, tag=0, frozen=True, kw_only=True):
    """Messages of one revision on one channel, each answered by a `RenderedTexts` or `RenderFailure`.

    `key` names both; `revision` is there if the child does not know it, `forget` names keys to make room for it.
    `alone`: tell about each step before it is taken, so that it is known what the child did when it ended.
    """

    key: str
    channel: Channel
    revision: Revision | None
    forget: list[str]
    shared: list[ValuesT]
    rows: list[Row[ValuesT]]
    alone: bool


class Check(msgspec.Struct, array_like=True, tag=1, frozen=True, kw_only=True):
    """A template to look into, answered by `Checked`."""

    template: TemplateCheck


class Checked(msgspec.Struct, array_like=True, tag=3, frozen=True, kw_only=True):
    """What is wrong with a template."""

    problems: list[TemplateProblem]


class Begun(msgspec.Struct, array_like=True, tag=4, frozen=True, kw_only=True, gc=False):
    """No answer yet: the template that is compiled or rendered now. `MESSAGE` where it is not known which."""

    template: str
    compiling: bool


Said = RenderedTexts | RenderFailure | LimitReached | Checked | Begun

encoder = msgspec.msgpack.Encoder()
decode_work = msgspec.msgpack.Decoder(Render[Plain] | Check).decode
decode_said = msgspec.msgpack.Decoder(list[Said]).decode


def frame(message: object) -> bytearray:
    """A message with its length before it."""
    framed = bytearray(LENGTH)
    encoder.encode_into(message, framed, LENGTH)
    framed[:LENGTH] = (len(framed) - LENGTH).to_bytes(LENGTH, "big")
    return framed
