"""Files that go with a message: attached, or shown inside of the HTML that names them by their content id."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from clarion_core.content.files import id_problem, type_problem
from clarion_workers.channels.email.body import Body, base64_lines, multipart
from clarion_workers.channels.email.headers import clean, parameter

# None is the beginning of another, nor of the one of alternatives: some readers compare no further.
_MIXED, _RELATED = "=_mixed", "=_related"
_KEPT = 1 << 25  # octets of encoded files that are kept: all messages of a campaign have the same


class AttachmentRefused(ValueError):
    """The file can't be part of a message; the message says why."""


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A file. `content_type` may have parameters, as in `text/calendar; method=REQUEST; charset=utf-8`.

    With a `content_id` it is inline: HTML shows it by `cid:` and that id.
    """

    name: str
    content_type: str
    data: bytes = msgspec.field(default=b"")
    content_id: str = ""


def with_files(texts: Body, files: Sequence[Attachment], *, has_alternatives: bool) -> Body:
    """The texts and the files as one part: inline ones are related to the texts, the others beside them.

    `AttachmentRefused` where a file can't be part of a message. `has_alternatives`: `texts` has more than one part.
    """
    inline = [_encoded[file] for file in files if file.content_id]
    attached = [_encoded[file] for file in files if not file.content_id]
    whole = texts
    if inline:
        kind = "multipart/alternative" if has_alternatives else "text/html"
        whole = multipart("related", _RELATED, [whole, *inline], f';\r\n type="{kind}"')  # RFC 2387 §3.1
    if attached:
        whole = multipart("mixed", _MIXED, [whole, *attached])
    return whole


class _Encoded(dict[Attachment, Body]):
    """Files as parts, encoded once."""

    def __init__(self) -> None:
        self._size = 0

    def __missing__(self, file: Attachment) -> Body:
        part = _part(file)
        size = len(part.pieces[-1])
        if self._size + size > _KEPT:
            self.clear()
            self._size = 0
        self._size += size
        self[file] = part
        return part


_encoded = _Encoded()


def _part(file: Attachment) -> Body:
    if wrong := type_problem(file.content_type):
        raise AttachmentRefused(f"a file's content type {wrong}")
    if wrong := id_problem(file.content_id):
        raise AttachmentRefused(f"a file's content id {wrong}")
    name = clean(file.name).replace("/", "_").replace("\\", "_")
    if not name:
        raise AttachmentRefused("a file has no name")
    kind = re.sub("; ?", ";\r\n ", file.content_type)
    head = (
        f"Content-Type: {kind}\r\n"
        "Content-Transfer-Encoding: base64\r\n"
        f"Content-Disposition: {'inline' if file.content_id else 'attachment'}{parameter('filename', name)}\r\n"
    )
    if file.content_id:
        head += f"Content-ID: <{file.content_id}>\r\n"
    return Body(((head + "\r\n").encode(), base64_lines(file.data)), dotless=True, eight_bit=False)
