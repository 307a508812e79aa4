"""Who we are: AUTH PLAIN and LOGIN with a password, OAUTHBEARER and XOAUTH2 with a token.

Credentials go over TLS (or to this machine), so that CRAM-MD5, which hides them from listeners by a hash that no longer
does, is not needed.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable, Collection

from clarion_workers.channels.email.config import SmtpConfig

Ask = Callable[[str], Awaitable[tuple[int, bytes]]]
"""Sends a line and waits for the reply to it."""

_GO_ON = 334


class NoWay(Exception):
    """There is no way to say who we are; the message says why."""


async def authenticate(config: SmtpConfig, offered: Collection[str], ask: Ask) -> tuple[int, bytes]:
    """The last reply of the best mechanism that the server offers. `NoWay` where there is none, or no token."""
    if config.token:
        return await _with_token(config, config.token, offered, ask)
    if "PLAIN" in offered:
        return await ask("AUTH PLAIN " + _base64(f"\0{config.username}\0{config.password}"))  # RFC 4616
    if "LOGIN" not in offered:
        raise NoWay("the server offers neither AUTH PLAIN nor AUTH LOGIN")
    code, text = await ask("AUTH LOGIN")
    for answer in (config.username, config.password):
        if code == _GO_ON:
            code, text = await ask(_base64(answer))
    return code, text


async def _with_token(
    config: SmtpConfig, read: Callable[[], str], offered: Collection[str], ask: Ask
) -> tuple[int, bytes]:
    try:
        token = read()  # each time: whoever renews it writes it where we read it
    except (OSError, KeyError, UnicodeDecodeError):
        raise NoWay("the token can't be read") from None
    if "OAUTHBEARER" in offered:  # RFC 7628 §3.1
        name = config.username.replace("=", "=3D").replace(",", "=2C")
        said = f"n,a={name},\x01host={config.host}\x01port={config.port}\x01auth=Bearer {token}\x01\x01"
        code, text = await ask("AUTH OAUTHBEARER " + _base64(said))
        end = _base64("\x01")  # RFC 7628 §3.2.3: a refusal comes as a challenge, and ends once it was answered
    elif "XOAUTH2" in offered:  # Gmail's and Microsoft's form from before the standard
        code, text = await ask("AUTH XOAUTH2 " + _base64(f"user={config.username}\x01auth=Bearer {token}\x01\x01"))
        end = ""
    else:
        raise NoWay("the server offers neither AUTH OAUTHBEARER nor AUTH XOAUTH2")
    return await ask(end) if code == _GO_ON else (code, text)


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode("ascii")
