"""What the peers of providers that a configuration describes share."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from aiohttp import web

from clarion_core.configuration.file import read
from clarion_core.configuration.http_sms import HttpSmsPart
from clarion_workers.channels.kind import Opening
from clarion_workers.channels.sms.generic import described
from clarion_workers.channels.sms.message import SmsMessage

from .over_http import HttpPeer

EXAMPLES = Path(__file__).parents[3] / "examples" / "providers"
NUMBERS = {
    "takes": "+49151230{:05}",
    "refuses for now": "+49151231{:05}",
    "refuses the recipient": "+49151232{:05}",
    "refuses the message": "+49151233{:05}",
    "throttles": "+49151234{:05}",
    "hangs after hand-over": "+49151235{:05}",
    "breaks after hand-over": "+49151236{:05}",
}


class DescribedPeer(HttpPeer):
    """`part` is the description, `variable` where its secret is."""

    LARGE = 1_560
    SECRETS = ("151", "Shop", "Thank", "right4711", "wrong")
    PART: ClassVar[HttpSmsPart]
    VARIABLE: ClassVar[str]
    KNOWN: ClassVar = "Bearer right4711"
    """The header of those that it knows."""

    def made(self, url: str, tls: ssl.SSLContext | None, secret: str = "right4711", **changes: Any) -> Any:
        where = url + urlsplit(self.PART.url).path
        part = self.PART.model_copy(update={"url": where, **changes})
        channel = described(part, Opening(environment={self.VARIABLE: secret}, message_id_domain="mail.example.com"))
        channel._tls = tls  # the configuration would name a file
        return channel

    async def looked_at(self, request: web.Request) -> web.Response:
        known = request.headers.get("Authorization") == self.KNOWN
        return web.Response(status=405 if known else 401, headers={"Allow": self.PART.method})

    def wrongly_known(self) -> Any:
        return self.kept(f"https://127.0.0.1:{self.port}", self.trust, secret="wrong")

    def message(self, behaviour: str, number: int, text: str = "Thank you.\n") -> SmsMessage:
        to = NUMBERS[behaviour].format(number)
        return SmsMessage(delivery_id=f"00j4k-{number}", sender="Shop", to_number=to, text=text)


def behaviour_of(to: str) -> str:
    """How a message to this number wants to be treated."""
    return next(each for each, number in NUMBERS.items() if f"+{to.removeprefix('+')}".startswith(number[:9]))


def example(name: str, variable: str) -> HttpSmsPart:
    """The provider that one of the examples describes."""
    sms = read(EXAMPLES / f"{name}.yaml", {variable: "right4711"}).sms
    assert sms
    [provider] = sms.providers
    assert provider.http
    return provider.http
