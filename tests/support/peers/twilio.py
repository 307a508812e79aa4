"""Twilio's Messages resource, as its documentation describes it; the recipient's number says how it behaves."""

from __future__ import annotations

import base64
import re
import ssl
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import trustme
from aiohttp import web

from clarion_core.configuration.part import Secret
from clarion_core.configuration.twilio import TwilioPart
from clarion_workers.channels.sms.message import SmsMessage
from clarion_workers.channels.sms.twilio import TwilioChannel

from .over_http import HttpPeer, Refused, Taken, serving

ACCOUNT, KEY, SERVICE = "AC" + "1" * 32, "SK" + "2" * 32, "MG" + "3" * 32
SECRET = "right4711"
CALLBACK = "https://receipts.example.com/twilio"
PARAMETERS = frozenset(
    """
    To From MessagingServiceSid Body MediaUrl StatusCallback ApplicationSid MaxPrice ProvideFeedback Attempt
    ValidityPeriod ForceDelivery ContentRetention AddressRetention SmartEncoded PersistentAction TrafficType
    ShortenUrls ScheduleType SendAt SendAsMms ContentSid ContentVariables RiskCheck
    """.split()  # noqa: SIM905 - a list of them is a line that nobody reads
)
SENDER = re.compile(r"\+[1-9]\d{1,14}|\d{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 +_&-]{1,11}")
NUMBERS = {
    "takes": "+49151230{:05}",
    "refuses for now": "+49151231{:05}",
    "refuses the recipient": "+49151232{:05}",
    "refuses the message": "+49151233{:05}",
    "throttles": "+49151234{:05}",
    "hangs after hand-over": "+49151235{:05}",
    "breaks after hand-over": "+49151236{:05}",
}
REFUSALS = {
    "refuses for now": (503, 20503, "Service unavailable", {}),
    "refuses the recipient": (400, 21211, "Invalid 'To' Phone Number", {}),
    "refuses the message": (400, 21619, "Body or media or content is required to send a message", {}),
    "throttles": (429, 20429, "Too Many Requests", {"Retry-After": "7"}),
}


def part(url: str, **changes: Any) -> TwilioPart:
    """The configuration of a provider at this address."""
    values = {"account_sid": ACCOUNT, "secret": Secret(env="TWILIO"), "url": url, "status_callback": CALLBACK}
    return TwilioPart.model_validate(values | changes)


class TwilioPeer(HttpPeer):
    TESTED_BY = "a server that checks requests by the documented rules"
    LARGE = 1_560
    SECRETS = ("151", "Shop", "Thank", SECRET, "d3Jvbmc", ACCOUNT)
    account = "active"
    """The state that the account is in."""

    def made(self, url: str, tls: ssl.SSLContext | None, secret: str = SECRET, **changes: Any) -> TwilioChannel:
        return TwilioChannel(part(url, **changes), secret, tls)

    def wrongly_known(self) -> TwilioChannel:
        return self.kept(f"https://127.0.0.1:{self.port}", self.trust, secret="wrong")  # type: ignore[return-value]

    def message(self, behaviour: str, number: int, text: str = "Thank you.\n") -> SmsMessage:
        to = NUMBERS[behaviour].format(number)
        return SmsMessage(delivery_id=f"00j4k-{number}", sender="Shop", to_number=to, text=text)

    def keys(self) -> None:
        """Twilio has none for messages."""

    async def looked_at(self, request: web.Request) -> web.Response:
        self.know(request)
        if (request.method, request.path) != ("GET", f"/2010-04-01/Accounts/{ACCOUNT}.json"):
            raise Refused(error(404, 20404, f"The requested resource {request.path} was not found"))
        return web.json_response({"sid": ACCOUNT, "friendly_name": "Shop", "status": self.account})

    def know(self, request: web.Request) -> None:
        """Whoever asks has the account's credentials, or one of its keys'."""
        known = base64.b64decode(request.headers.get("Authorization", "").removeprefix("Basic ")).decode()
        if known not in (f"{ACCOUNT}:{SECRET}", f"{KEY}:{SECRET}"):
            raise Refused(error(401, 20003, "Authenticate"))

    async def read(self, request: web.Request) -> tuple[str, Taken]:
        self.know(request)
        if (request.method, request.path) != ("POST", f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"):
            raise Refused(error(404, 20404, f"The requested resource {request.path} was not found"))
        assert request.content_type == "application/x-www-form-urlencoded"
        fields = parse_qsl((await request.read()).decode("ascii"), keep_blank_values=True, strict_parsing=True)
        asked = dict(fields)
        if len(asked) < len(fields) or asked.keys() - PARAMETERS:
            raise Refused(error(400, 20001, "Unknown parameters"))
        check(asked)
        behaviour = next(each for each, to in NUMBERS.items() if asked["To"].startswith(to[:9]))
        delivery = parse_qs(urlsplit(asked.get("StatusCallback", "")).query).get("delivery", [""])[0]
        validity = asked.get("ValidityPeriod")
        taken = Taken(
            delivery=delivery,
            text=asked["Body"],
            lifetime_s=float(validity) if validity else None,
            id=f"SM{len(self.taken):032x}",
        )
        return behaviour, taken

    def answer(self, behaviour: str, taken: Taken) -> web.Response:
        if behaviour in REFUSALS:
            status, code, words, headers = REFUSALS[behaviour]
            return error(status, code, words, headers)
        return web.json_response({"sid": taken.id, "status": "queued", "error_code": None}, status=201)


def check(asked: dict[str, str]) -> None:
    """What Twilio's documentation asks of a message."""
    if not re.fullmatch(r"\+[1-9]\d{1,14}", asked.get("To", "")):
        raise Refused(error(400, 21211, "Invalid 'To' Phone Number"))
    if not asked.get("From") and not asked.get("MessagingServiceSid"):
        raise Refused(error(400, 21603, "A 'From' phone number is required"))
    if asked.get("From") and not SENDER.fullmatch(asked["From"]):
        raise Refused(error(400, 21212, "Invalid 'From' Phone Number"))
    if not asked.get("Body"):
        raise Refused(error(400, 21602, "Message body is required"))
    if len(asked["Body"]) > 1600:
        raise Refused(error(400, 21617, "The concatenated message body exceeds the 1600 character limit"))
    if not 1 <= int(asked.get("ValidityPeriod", "1")) <= 36_000:
        raise Refused(error(400, 21622, "Invalid ValidityPeriod"))
    callback = urlsplit(asked.get("StatusCallback", CALLBACK))
    if callback.scheme not in ("http", "https") or "_" in (callback.hostname or "_"):
        raise Refused(error(400, 21609, "The 'StatusCallback' URL is not valid"))


def error(status: int, code: int, words: str, headers: dict[str, str] | None = None) -> web.Response:
    """A refusal in Twilio's form."""
    told = {"code": code, "message": words, "more_info": f"https://www.twilio.com/docs/errors/{code}", "status": status}
    return web.json_response(told, status=status, headers=headers)


def peer(server_tls: ssl.SSLContext, ca: trustme.CA) -> AbstractAsyncContextManager[TwilioPeer]:
    running: AbstractAsyncContextManager[TwilioPeer] = serving(TwilioPeer(ca), server_tls)
    return running
