"""A message's texts without the recipient's own way to unsubscribe: who follows a link in a copy acts for nobody.

The rule: each of the message's `list_unsubscribe` URIs becomes `#` wherever it stands in HTML, AMP or text, as it is,
with HTML's escapes, or percent-encoded inside of another link; so does what continues it by a path, query or fragment.
A URI that is nothing but a host names nobody and stays.
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from msgspec.structs import replace

from clarion_workers.channels.email.message import EmailMessage

_NOWHERE = b"#"
_ESCAPED = {  # as templates escape, or whoever writes HTML by hand
    "&": "&(?:amp;|#38;|#[xX]26;)?",
    '"': '(?:"|&quot;|&#34;|&#[xX]22;)',
    "'": "(?:'|&apos;|&#39;|&#[xX]27;)",
}
_GOES_ON = r"(?:[/?#&][^\s\"'<>]*)?(?![A-Za-z0-9_%~-])"  # not where it is the beginning of another name


def neutral(message: EmailMessage) -> EmailMessage:
    """The message with texts for others than its recipient."""
    found = [pattern for way in message.list_unsubscribe if _is_personal(way) for pattern in _patterns(way)]
    if not found:
        return message
    links = re.compile(f"(?:{'|'.join(found)}){_GOES_ON}".encode())
    return replace(
        message,
        html=links.sub(_NOWHERE, message.html),
        text=links.sub(_NOWHERE, message.text),
        amp=links.sub(_NOWHERE, message.amp),
    )


def _patterns(way: str) -> tuple[str, str]:
    return "".join(_ESCAPED.get(char) or re.escape(char) for char in way), re.escape(quote(way, safe=""))


def _is_personal(way: str) -> bool:
    parts = urlsplit(way)
    return parts.path not in ("", "/") or bool(parts.query)
