"""Mailgun's `POST /v3/{domain}/messages.mime`, as its documentation describes it; forms are read by werkzeug."""

from __future__ import annotations

import base64
import io
import re
import ssl
from contextlib import AbstractAsyncContextManager
from email import message_from_bytes
from email.headerregistry import Address
from email.policy import default
from typing import Any

import trustme
from aiohttp import web
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.formparser import FormDataParser

from clarion_core.configuration.mailgun import MailgunPart
from clarion_core.configuration.part import Secret
from clarion_workers.channels.email import EmailMessage
from clarion_workers.channels.email.mailgun import MailgunChannel
from clarion_workers.channels.email.mime import MimeBuilder
from support.emails import email

from .over_http import HttpPeer, Refused, Taken, serving

DOMAIN, SECRET = "mg.shop.example", "right4711"
PARAMETERS = re.compile(
    r"to|template|t:(version|text|variables)|recipient-variables|[hv]:.+|o:(tag|dkim|secondary-dkim(-public)?|testmode"
    r"|deliverytime(-optimize-period)?|time-zone-localize|tracking(-clicks|-opens|-pixel-location-top)?|require-tls"
    r"|skip-verification|sending-ip(-pool)?|archive-to|suppress-headers)"
)
SWITCHES = ("o:dkim", "o:testmode", "o:tracking", "o:require-tls", "o:skip-verification")
OPTIONS_MAX, MESSAGE_MAX, REQUEST_MAX = 16_384, 25_000_000, 54_945_382
REFUSALS = {
    "refuses for now": (402, "Request failed"),
    "refuses the recipient": (400, "'to' parameter is not a valid address. please check documentation"),
    "refuses the message": (400, "yesterday is not an RFC-2822 compliant date"),
    "throttles": (429, f"Domain {DOMAIN} is not allowed to send: request limit exceeded"),
}


def part(url: str = "https://api.mailgun.net", **changes: Any) -> MailgunPart:
    """The configuration of a domain at this address."""
    return MailgunPart.model_validate({"domain": DOMAIN, "api_key": Secret(env="MAILGUN"), "url": url} | changes)


class MailgunPeer(HttpPeer):
    TESTED_BY = "a server that checks requests by the documented rules, with werkzeug's forms"
    SECRETS = ("example.com", "ada", "Thank", SECRET, "d3Jvbmc", "right")
    fields: MultiDict[str, str]
    content: bytes

    def made(self, url: str, tls: ssl.SSLContext | None, secret: str = SECRET, **changes: Any) -> MailgunChannel:
        return MailgunChannel(part(url, **changes), MimeBuilder("mail.example.com"), secret, tls)

    def wrongly_known(self) -> MailgunChannel:
        return self.kept(f"https://127.0.0.1:{self.port}", self.trust, secret="wrong")  # type: ignore[return-value]

    def message(self, behaviour: str, number: int, text: str = "Thank you.\n") -> EmailMessage:
        return email(number, f"{behaviour.replace(' ', '-')}{number}@example.com", text=text)

    def keys(self) -> None:
        """Mailgun has none."""

    def lifetimes_s(self) -> None:
        """Mailgun can't be told."""

    async def looked_at(self, request: web.Request) -> web.Response:
        raise Refused(web.Response(status=405))  # a sending key may do nothing but POST

    async def read(self, request: web.Request) -> tuple[str, Taken]:
        known = base64.b64decode(request.headers.get("Authorization", "").removeprefix("Basic ")).decode()
        if known != f"api:{SECRET}":
            raise Refused(web.Response(status=401, text="Forbidden"))
        if (request.method, request.path) != ("POST", f"/v3/{DOMAIN}/messages.mime"):
            raise Refused(error(404, f"Domain not found: {request.path}"))
        fields, files = await form(request)
        self.fields, self.content = fields, content_of(fields, files)
        message = message_from_bytes(self.content, policy=default)
        taken = Taken(
            delivery=fields["v:clarion-delivery"],
            text=str(message.get_body(("plain",)).get_content()),  # type: ignore[union-attr]
            id=f"20260203192638.{len(self.taken):016x}@{DOMAIN}",
        )
        behaviour = re.sub(r"\d+@.*", "", fields["to"]).replace("-", " ").replace("hand over", "hand-over")
        return behaviour, taken

    def answer(self, behaviour: str, taken: Taken) -> web.Response:
        if behaviour in REFUSALS:
            return error(*REFUSALS[behaviour])
        return web.json_response({"id": f"<{taken.id}>", "message": "Queued. Thank you."})


async def form(request: web.Request) -> tuple[MultiDict[str, str], MultiDict[str, FileStorage]]:
    """The form as werkzeug reads it, which is strict: what it can't read is an error."""
    body = await request.content.read()
    if len(body) > REQUEST_MAX:
        raise Refused(error(413, "request size exceeds 52.4MiB limit"))
    if request.content_type != "multipart/form-data":
        raise Refused(error(400, f"Invalid request content type. Got '{request.content_type}'"))
    options = {"boundary": request.headers["Content-Type"].partition("boundary=")[2]}
    parser = FormDataParser(silent=False)
    _, fields, files = parser.parse(io.BytesIO(body), "multipart/form-data", len(body), options)
    return fields, files


def content_of(fields: MultiDict[str, str], files: MultiDict[str, FileStorage]) -> bytes:
    """The message, where Mailgun's documentation has nothing against it and what goes with it."""
    for name in ("to", "message"):
        if name not in fields and name not in files:
            raise Refused(error(400, f"{name} parameter is missing"))
    if "message" in fields:
        raise Refused(error(400, "'message' parameter is not a file"))
    unknown = [name for name in fields if not PARAMETERS.fullmatch(name)]
    wrong = [name for name in SWITCHES if fields.get(name, "yes") not in ("yes", "no", "true", "false", "htmlonly")]
    assert not unknown + wrong, unknown + wrong
    assert Address(addr_spec=fields["to"]).domain
    assert all(tag.isascii() and len(tag) <= 128 for tag in fields.getlist("o:tag"))
    if sum(len(name) + len(value) for name, value in fields.items(multi=True) if ":" in name) > OPTIONS_MAX:
        raise Refused(error(400, "Send options (parameters starting with o:, h:, or v:) are limited to 16 kB total"))
    with files["message"].stream as file:
        content = file.read()
    assert len(content) <= MESSAGE_MAX
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 998
    return content


def error(status: int, words: str) -> web.Response:
    """A refusal in Mailgun's form."""
    return web.json_response({"message": words}, status=status, headers={"Retry-After": "7"} if status == 429 else {})


def peer(server_tls: ssl.SSLContext, ca: trustme.CA) -> AbstractAsyncContextManager[MailgunPeer]:
    running: AbstractAsyncContextManager[MailgunPeer] = serving(MailgunPeer(ca), server_tls)
    return running
