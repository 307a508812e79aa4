"""Mailgun's Messages API (documentation.mailgun.com, "Send an email in MIME format").

Messages go as they are built here. Mailgun is asked not to track them: it would write other links into what is signed.
"""

from __future__ import annotations

import base64
import re
import secrets
import ssl
import time
from collections.abc import Mapping

from clarion_core.configuration.mailgun import MailgunPart
from clarion_core.domain.delivery import Reason
from clarion_core.domain.medium import Medium
from clarion_core.domain.outcome import Outcome, PermanentFailure, Sent, TransientFailure
from clarion_workers.channels import Found
from clarion_workers.channels.answers import refused, said
from clarion_workers.channels.email.copies import Copying, copying
from clarion_workers.channels.email.letterhead import letterhead_of
from clarion_workers.channels.email.message import EmailMessage
from clarion_workers.channels.email.mime import MimeBuilder
from clarion_workers.channels.http import Answer, HttpChannel, Request, retry_after_s
from clarion_workers.channels.kind import Opening, ProviderKind, Supports

# A refusal has a status and words, and no code. 400 stands for what is wrong with any of three.
_ACCOUNT = re.compile(r"not allowed to send|^Domain not found|can.t be used to send")
_RECIPIENT = re.compile(r"\bto\W{0,2} parameter is not a valid address")
_AGAIN = re.compile(r"try again after (.+)")
_UNASKED = re.compile(r"\bto\W{0,2} parameter is missing")
# 402: "parameters were valid but request failed"; 420: what a domain may send in an hour is used up, undocumented.
_LATER = frozenset({402, 420, 429})


class MailgunChannel(HttpChannel[EmailMessage]):
    """A `Channel` to a domain at Mailgun."""

    name = "mailgun"

    def __init__(
        self, part: MailgunPart, builder: MimeBuilder, api_key: str, tls: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(connections=part.connections, timeout_s=part.timeout_s, tls=tls)
        self._builder = builder
        self._url = f"{part.url}/v3/{part.domain}/messages.mime"
        self._known = f"Basic {base64.b64encode(f'api:{api_key}'.encode()).decode()}"
        self._options = {"o:tracking": "no"} | ({"o:testmode": "yes"} if part.test_mode else {})

    def probe(self) -> Request:
        """A message without a recipient, which is refused: a key that may send and nothing else can ask no more."""
        return self._form({"o:testmode": "yes"}, b"")

    def found(self, answer: Answer) -> Found:
        """The key and the domain were looked at before the recipient was missed."""
        words = _words(answer)
        if answer.status == 400 and _UNASKED.search(words):
            return Found(True, "our key is taken for the domain")
        return Found(False, f"it refuses us: {said(answer, words)}")

    async def request(self, message: EmailMessage) -> Request | PermanentFailure:
        """The request for this message. Mailgun has no idempotency key: a second one is a second message."""
        built = self._builder.build(message)
        if isinstance(built, PermanentFailure):
            return built
        if built.needs_smtputf8:
            return PermanentFailure(
                reason=Reason.PROVIDER_UNSUPPORTED, detail="Mailgun does not carry all addresses beyond ASCII"
            )
        fields = {"to": built.rcpt_to} | self._options
        if message.campaign:
            fields["o:tag"] = message.campaign
        if not message.copy:  # what becomes of a copy is no fact of the delivery
            fields["v:clarion-delivery"] = message.delivery_id
        return self._form(fields, built.content)

    def outcome(self, message: EmailMessage, answer: Answer) -> Outcome:
        """What Mailgun's answer means."""
        words, status = _words(answer), answer.status
        detail = said(answer, words)
        if 200 <= status < 300:
            return Sent(detail=detail, provider_id=_told(answer, "id").strip("<>"))  # events have it bare
        if status in _LATER:
            again = _AGAIN.search(words)
            wait_s = answer.retry_after_s() or (retry_after_s(again[1], time.time()) if again else None)
            return TransientFailure(reason=Reason.PROVIDER_DEFERRED, detail=detail, retry_after_s=wait_s)
        if status < 500 and _ACCOUNT.search(words):
            return TransientFailure(reason=Reason.PROVIDER_CREDENTIALS, detail=detail)
        if status == 400 and _RECIPIENT.search(words):
            return PermanentFailure(reason=Reason.RECIPIENT_REFUSED, detail=detail)
        return refused(answer, detail)

    def _form(self, fields: Mapping[str, str], content: bytes) -> Request:
        """The fields, and the message, if any, as a file (RFC 7578). Nothing of them can know the boundary."""
        boundary = secrets.token_hex(16)
        part = f"--{boundary}\r\nContent-Disposition: form-data; name="
        pieces = [f'{part}"{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items()]
        if content:
            file = f'{part}"message"; filename="message.eml"\r\nContent-Type: message/rfc822\r\n\r\n'
            pieces += [file.encode(), content, b"\r\n"]
        headers = {"Authorization": self._known, "Content-Type": f"multipart/form-data; boundary={boundary}"}
        return Request(url=self._url, body=b"".join([*pieces, f"--{boundary}--\r\n".encode()]), headers=headers)


def _told(answer: Answer, name: str) -> str:
    told = answer.json()
    return str(told.get(name) or "") if isinstance(told, dict) else ""


def _words(answer: Answer) -> str:
    return _told(answer, "message")


def _open(part: MailgunPart, opening: Opening) -> Copying:
    builder = MimeBuilder(opening.message_id_domain, letterhead_of(opening))
    tls = ssl.create_default_context(cafile=part.ca_file) if part.ca_file else None
    return copying(MailgunChannel(part, builder, opening.secret(part.api_key).strip(), tls), opening)


MAILGUN = ProviderKind(
    title="Mailgun",
    medium=Medium.EMAIL,
    open=_open,
    supports=Supports(
        provider_id="the message's id",
        retry_after="`Retry-After`, or the time that its words name",
        receipts="webhooks, with the delivery's id as the variable `clarion-delivery`",
        attachments="any kind of file, attached or inline",
    ),
    notes="No idempotency key and no expiry. The envelope sender is Mailgun's own: bounces come by webhook alone.",
)
