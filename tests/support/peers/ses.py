"""Amazon SES's `POST /v2/email/outbound-emails`: signatures are checked by botocore, requests by its service model."""

from __future__ import annotations

import base64
import re
import ssl
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from typing import Any

import msgspec
import trustme
from aiohttp import web
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as AmazonsCredentials
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from clarion_core.configuration.part import Secret
from clarion_core.configuration.ses import SesPart
from clarion_workers.channels.email import EmailMessage
from clarion_workers.channels.email.mime import MimeBuilder
from clarion_workers.channels.email.ses import SesChannel
from clarion_workers.channels.sigv4 import Credentials
from support.emails import email

from .over_http import HttpPeer, Refused, Taken, serving

KEY, SECRET, TOKEN = (
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "IQoJb3JpZ2luX2VjEXAMPLETOKEN==",
)
MODEL = ServiceModel(Loader().load_service_model("sesv2", "service-2")).operation_model("SendEmail")
REFUSALS = {
    "refuses for now": (400, "SendingPausedException", "Email sending is disabled."),
    "refuses the recipient": (400, "BadRequestException", "Illegal address"),
    "refuses the message": (400, "MessageRejected", "Transaction failed: too many virtues"),
    "throttles": (429, "TooManyRequestsException", "Maximum sending rate exceeded."),
}
SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([A-Z0-9]+)/(\d{8})/([a-z0-9-]+)/ses/aws4_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})"
)


def part(url: str | None, **changes: Any) -> SesPart:
    """The configuration of SES at this address."""
    values = {"region": "eu-central-1", "access_key_id": KEY, "secret_access_key": Secret(env="SES"), "url": url}
    return SesPart.model_validate(values | changes)


class SesPeer(HttpPeer):
    TESTED_BY = "a server that checks requests with botocore's signatures and model; moto"
    SECRETS = ("example.com", "ada", "Thank", KEY, SECRET, "wrong", "virtues")
    TO = "{}{}@example.com"
    expired = ""
    """A session token that is no longer good."""
    account: Mapping[str, Any] = {}
    """What it tells of the account besides the usual."""

    def made(self, url: str, tls: ssl.SSLContext | None, secret: str = SECRET, token: str = "", **changes: Any) -> Any:
        known = Credentials(access_key_id=KEY, secret_access_key=secret, session_token=token)
        return SesChannel(part(url, **changes), MimeBuilder("mail.example.com"), lambda: known, tls)

    def wrongly_known(self) -> Any:
        return self.kept(f"https://127.0.0.1:{self.port}", self.trust, secret="wrong")

    def message(self, behaviour: str, number: int, text: str = "Thank you.\n") -> EmailMessage:
        return email(number, self.TO.format(behaviour.replace(" ", "-"), number), text=text)

    def keys(self) -> None:
        """SES has none."""

    def lifetimes_s(self) -> None:
        """SES can't be told."""

    async def known(self, request: web.Request) -> bytes:
        """The body of a request that is signed as it must be."""
        body = await request.content.read()
        if problem := signature_problem(request, body):
            raise Refused(error(403, *problem))
        if self.expired and request.headers.get("X-Amz-Security-Token") == self.expired:
            raise Refused(error(403, "ExpiredTokenException", "The security token included in the request is expired"))
        return body

    async def looked_at(self, request: web.Request) -> web.Response:
        assert await self.known(request) == b""
        assert (request.method, request.path) == ("GET", "/v2/email/account")
        quota = {"Max24HourSend": 50_000.0, "MaxSendRate": 14.0, "SentLast24Hours": 0.0}
        told = {"SendingEnabled": True, "ProductionAccessEnabled": False, "SendQuota": quota}
        return web.json_response(told | self.account)

    async def read(self, request: web.Request) -> tuple[str, Taken]:
        body = await self.known(request)
        assert (request.method, request.path) == ("POST", "/v2/email/outbound-emails")
        assert request.content_type == "application/json"
        asked = msgspec.json.decode(body)
        content = base64.b64decode(asked["Content"]["Raw"]["Data"], validate=True)
        asked["Content"]["Raw"]["Data"] = content
        report = ParamValidator().validate(asked, MODEL.input_shape)
        if report.has_errors() or asked.keys() - MODEL.input_shape.members.keys():
            raise Refused(error(400, "BadRequestException", report.generate_report()))
        assert content.isascii()
        assert max(map(len, content.split(b"\r\n"))) <= 998
        message = message_from_bytes(content, policy=default)
        [to] = asked["Destination"]["ToAddresses"]
        tags = {tag["Name"]: tag["Value"] for tag in asked["EmailTags"]}
        taken = Taken(
            delivery=tags["clarion-delivery"],
            text=str(message.get_body(("plain",)).get_content()),  # type: ignore[union-attr]
            id=f"0100018f{len(self.taken):08x}-4e2b-000000",
        )
        self.asked, self.content = asked, content
        return re.sub(r"\d+@.*", "", to).replace("-", " ").replace("hand over", "hand-over"), taken

    def answer(self, behaviour: str, taken: Taken) -> web.Response:
        if behaviour in REFUSALS:
            return error(*REFUSALS[behaviour])
        return web.json_response({"MessageId": taken.id})


def signature_problem(request: web.Request, body: bytes, secret: str = SECRET) -> tuple[str, str] | None:
    """What is wrong with the request's signature, by botocore's own reckoning."""
    found = SIGNED.fullmatch(request.headers.get("Authorization", ""))
    if not found:
        return "MissingAuthenticationToken", "Missing Authentication Token"
    key, day, region, names, signature = found.groups()
    headers = {name: request.headers[name] for name in names.split(";")}
    needed = {"host", "x-amz-date", "content-type"}
    needed |= {"x-amz-security-token"} & {name.lower() for name in request.headers}
    moment = headers.get("x-amz-date", "")
    if key != KEY or needed - headers.keys() or not moment.startswith(day):
        return "IncompleteSignature", "Something is not signed"
    auth = SigV4Auth(AmazonsCredentials(KEY, secret), "ses", region)
    theirs = AWSRequest(request.method, f"https://{request.host}{request.path}", data=body, headers=headers)
    theirs.context["timestamp"] = moment
    if auth.signature(auth.string_to_sign(theirs, auth.canonical_request(theirs)), theirs) != signature:
        return "SignatureDoesNotMatch", "The request signature we calculated does not match the one you provided."
    signed_s = datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    if abs(time.time() - signed_s) > 300:
        return "InvalidSignatureException", "Signature expired or not yet current"
    return None


def error(status: int, name: str, words: str) -> web.Response:
    """A refusal in SES's form."""
    headers = {
        "x-amzn-ErrorType": f"{name}:http://internal.amazon.com/coral/com.amazonaws.services.simpleemailv2.model/"
    }
    if status == 429:
        headers["Retry-After"] = "7"
    return web.json_response({"message": words}, status=status, headers=headers)


def peer(server_tls: ssl.SSLContext, ca: trustme.CA) -> AbstractAsyncContextManager[SesPeer]:
    running: AbstractAsyncContextManager[SesPeer] = serving(SesPeer(ca), server_tls)
    return running
