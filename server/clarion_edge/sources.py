"""From the receipts file to sources that can be asked."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import aiohttp
from aiohttp.abc import AbstractResolver

from clarion_core.domain.keywords import keywords
from clarion_edge.certificates import Certificates
from clarion_edge.configuration import Receipts, SnsPart, SourcePart, TwilioCallbackPart
from clarion_edge.generic import HttpSource
from clarion_edge.receipt import Source
from clarion_edge.sns import SnsSource
from clarion_edge.twilio import TwilioSource


def opened(
    receipts: Receipts, environment: Mapping[str, str], resolver: AbstractResolver | None = None
) -> dict[str, Source]:
    """Every source by its name; `resolver` finds Amazon's hosts. To be called where an event loop runs."""
    return {part.name: _source(part, environment, resolver) for part in receipts.sources}


def _source(part: SourcePart, environment: Mapping[str, str], resolver: AbstractResolver | None) -> Source:
    if part.sns:
        return _sns(part.name, part.sns, resolver)
    if part.twilio:
        return _twilio(part.name, part.twilio, environment)
    assert part.http
    return HttpSource(part.name, part.http, part.http.secret.read(environment))


def _sns(name: str, part: SnsPart, resolver: AbstractResolver | None) -> SnsSource:
    trust = ssl.create_default_context(cafile=part.ca_file) if part.ca_file else ssl.create_default_context()
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust, limit=4, resolver=resolver))
    return SnsSource(name, frozenset(part.topics), Certificates(session))


def _twilio(name: str, part: TwilioCallbackPart, environment: Mapping[str, str]) -> TwilioSource:
    return TwilioSource(
        name,
        part.auth_token.read(environment),
        workspaces=tuple(part.workspaces),
        known=keywords(stop=part.stop),
    )
