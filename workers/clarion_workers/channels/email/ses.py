"""Amazon SES, API v2 (docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html).

Messages go as they are built here (`Content.Raw`): SES would make others of the parts, without our fields, files and
signatures. Two fields it sets itself, Message-ID and Date.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
from yarl import URL

from clarion_core.configuration.ses import SesPart
from clarion_core.domain.delivery import Reason
from clarion_core.domain.error_class import RETRYABLE
from clarion_core.domain.medium import Medium
from clarion_core.domain.outcome import Outcome, PermanentFailure, Sent, TransientFailure
from clarion_workers.channels import Found
from clarion_workers.channels.answers import refused, said
from clarion_workers.channels.email.address import parse_mailbox
from clarion_workers.channels.email.copies import Copying, copying
from clarion_workers.channels.email.letterhead import letterhead_of
from clarion_workers.channels.email.message import BuiltEmail, EmailMessage
from clarion_workers.channels.email.mime import MimeBuilder
from clarion_workers.channels.http import Answer, HttpChannel, Request
from clarion_workers.channels.kind import Opening, ProviderKind, Supports
from clarion_workers.channels.sigv4 import Credentials, Scope, signed

PATH = "/v2/email/outbound-emails"
ACCOUNT_PATH = "/v2/email/account"
SET_BY_SES = ("message-id", "date")
SKEW_S = 300.0
"""How far a signature's time may be from Amazon's."""

REASONS: Mapping[str, Reason] = {
    "MessageRejected": Reason.MESSAGE_REFUSED,
    "BadRequestException": Reason.MESSAGE_REFUSED,
    **dict.fromkeys(
        (
            "TooManyRequestsException",
            "LimitExceededException",
            "Throttling",
            "ThrottlingException",
            "SendingPausedException",
        ),
        Reason.PROVIDER_DEFERRED,
    ),
    **dict.fromkeys(
        (
            "AccountSuspendedException",
            "MailFromDomainNotVerifiedException",
            "NotFoundException",  # the configuration set
            "AccessDeniedException",
            "IncompleteSignature",
            "InvalidClientTokenId",
            "MissingAuthenticationToken",
            "OptInRequired",
            "UnrecognizedClientException",
        ),
        Reason.PROVIDER_CREDENTIALS,
    ),
}
_UNSIGNED = frozenset({"SignatureDoesNotMatch", "InvalidSignatureException", "RequestExpired", "RequestTimeTooSkewed"})
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException"})
# MessageRejected and BadRequestException say in words alone whom they are about.
_SENDER = re.compile(r"Email address is not verified")
_RECIPIENT = re.compile(
    r"Illegal address|Missing final '@domain'|Local address contains|Domain (?:contains|starts|ends)"
)
_TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")


class SesChannel(HttpChannel[EmailMessage]):
    """A `Channel` to Amazon SES. `credentials` is asked again where they turn out to have expired.

    `clock` is seconds since 1970.
    """

    name = "ses"

    def __init__(
        self,
        part: SesPart,
        builder: MimeBuilder,
        credentials: Callable[[], Credentials],
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(connections=part.connections, timeout_s=part.timeout_s, tls=tls)
        self._part, self._builder, self._clock = part, builder, clock
        self._read, self._credentials = credentials, credentials()
        base = part.url or f"https://email.{part.region}.amazonaws.com"
        self._url, self._account = URL(base + PATH), URL(base + ACCOUNT_PATH)
        self._scope = Scope(region=part.region, service="ses")
        self._ahead_s = 0.0  # Amazon's clock, against ours

    async def request(self, message: EmailMessage) -> Request | PermanentFailure:
        """The request for this message, signed. SES has no idempotency key: a second one is a second message."""
        built = self._builder.build(message)
        if isinstance(built, PermanentFailure):
            return built
        if built.needs_smtputf8:
            return PermanentFailure(reason=Reason.PROVIDER_UNSUPPORTED, detail="SES carries no addresses beyond ASCII")
        body = msgspec.json.encode(self._asked(message, built))
        return self._signed("POST", self._url, body)

    def probe(self) -> Request:
        """What SES tells of the account (API_GetAccount)."""
        return self._signed("GET", self._account, b"")

    def found(self, answer: Answer) -> Found:
        """Whether the account may send, and how much."""
        told = answer.json()
        told = told if isinstance(told, dict) else {}
        if answer.status != 200:
            error = _error(answer, told)
            self._learn(error, answer)
            return Found(False, f"it refuses us: {said(answer, error)}")
        if not told.get("SendingEnabled"):
            return Found(False, "our credentials are taken, but the account may not send")
        quota = told.get("SendQuota")
        rate = quota.get("MaxSendRate") if isinstance(quota, dict) else None
        where = "" if told.get("ProductionAccessEnabled") else "; in the sandbox: to verified addresses alone"
        return Found(True, "the account may send" + (f" {rate:g} a second" if rate else "") + where)

    def _signed(self, method: str, url: URL, body: bytes) -> Request:
        headers = signed(
            self._credentials,
            self._scope,
            method=method,
            host=url.raw_authority,
            path=url.raw_path,
            headers={"Content-Type": "application/json"},
            body=body,
            now_s=self._clock() + self._ahead_s,
        )
        return Request(url=str(url), body=body, headers=headers, method=method)

    def outcome(self, message: EmailMessage, answer: Answer) -> Outcome:
        """What SES's answer means."""
        told = answer.json()
        told = told if isinstance(told, dict) else {}
        if 200 <= answer.status < 300:
            return Sent(detail=said(answer), provider_id=str(told.get("MessageId") or ""))
        error = _error(answer, told)
        words = str(told.get("message") or told.get("Message") or "")
        self._learn(error, answer)
        reason = _reason(error, words) if answer.status < 500 else None
        detail = said(answer, error, words)
        if reason is None:
            return refused(answer, detail)
        if reason in RETRYABLE:
            return TransientFailure(reason=reason, detail=detail, retry_after_s=answer.retry_after_s())
        return PermanentFailure(reason=reason, detail=detail)

    def _asked(self, message: EmailMessage, built: BuiltEmail) -> dict[str, Any]:
        part, sender = self._part, parse_mailbox(message.sender).address
        asked: dict[str, Any] = {
            "FromEmailAddress": sender,
            "Destination": {"ToAddresses": [built.rcpt_to]},
            "Content": {"Raw": {"Data": built.content}},  # bytes are written in base64
        }
        if built.mail_from != sender:
            asked["FeedbackForwardingEmailAddress"] = built.mail_from
        if part.identity_arn:
            asked["FromEmailAddressIdentityArn"] = part.identity_arn
        if part.configuration_set:
            asked["ConfigurationSetName"] = part.configuration_set
        # What becomes of a copy is no fact of the delivery.
        tags = {"clarion-delivery": "" if message.copy else message.delivery_id, "clarion-campaign": message.campaign}
        asked["EmailTags"] = [{"Name": name, "Value": tag} for name, tag in tags.items() if _TAG.fullmatch(tag)]
        return asked

    def _learn(self, error: str, answer: Answer) -> None:
        """Make the next attempt better: by fresh credentials, or by Amazon's clock where ours is wrong."""
        if error in _EXPIRED:
            with suppress(KeyError, OSError):  # they are as gone as they are expired
                self._credentials = self._read()
        elif error in _UNSIGNED and "Date" in answer.headers:
            try:
                theirs = parsedate_to_datetime(answer.headers["Date"]).timestamp()
            except ValueError:
                return
            ahead_s = theirs - self._clock()
            self._ahead_s = ahead_s if abs(ahead_s) >= SKEW_S else 0.0


def _error(answer: Answer, told: Mapping[str, Any]) -> str:
    """The error's name: `x-amzn-ErrorType: Name:http://…`, or `"__type": "com.amazonaws…#Name"`."""
    name = answer.headers.get("x-amzn-ErrorType") or str(told.get("__type") or told.get("code") or "")
    return name.partition(":")[0].rpartition("#")[2]


def _reason(error: str, words: str) -> Reason | None:
    if error in ("MessageRejected", "BadRequestException"):
        if _SENDER.search(words):
            return Reason.PROVIDER_CREDENTIALS
        if _RECIPIENT.search(words):
            return Reason.RECIPIENT_REFUSED
    return Reason.PROVIDER_CREDENTIALS if error in _UNSIGNED | _EXPIRED else REASONS.get(error)


def _open(part: SesPart, opening: Opening) -> Copying:
    def credentials() -> Credentials:
        return Credentials(
            access_key_id=part.access_key_id,
            secret_access_key=opening.secret(part.secret_access_key).strip(),
            session_token=opening.secret(part.session_token).strip(),
        )

    builder = MimeBuilder(opening.message_id_domain, letterhead_of(opening, unsigned=SET_BY_SES))
    tls = ssl.create_default_context(cafile=part.ca_file) if part.ca_file else None
    return copying(SesChannel(part, builder, credentials, tls), opening)


SES = ProviderKind(
    title="Amazon SES",
    medium=Medium.EMAIL,
    open=_open,
    supports=Supports(
        provider_id="the MessageId",
        retry_after="`Retry-After`",
        receipts="events of the configuration set, tagged `clarion-delivery`",
        attachments="any kind of file, attached or inline",
    ),
    notes="No idempotency key and no expiry; SES sets Message-ID and Date itself, so DKIM leaves them unsigned.",
)
