"""From the receipts file to sources that can be asked."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import aiohttp
from aiohttp.abc import AbstractResolver

from clarion_edge.certificates import Certificates
from clarion_edge.configuration import Receipts, SnsPart, TwilioCallbackPart
from clarion_edge.generic import HttpSource
from clarion_edge.receipt import Source
from clarion_edge.sns import SnsSource
from clarion_edge.twilio import TwilioSource
from clarion_edge.vocabulary import Vocabulary


def opened(
    receipts: Receipts,
    environment: Mapping[str, str],
    vocabulary: Vocabulary,
    resolver: AbstractResolver | None = None,
) -> dict[str, Source]:
    """Every source by its name; `vocabulary` knows what answers mean, `resolver` finds Amazon's hosts.

    To be called where an event loop runs.
    """
    found: dict[str, Source] = {}
    for part in receipts.sources:
        if part.sns:
            found[part.name] = _sns(part.name, part.sns, resolver)
        elif part.twilio:
            found[part.name] = _twilio(part.name, part.twilio, environment, vocabulary)
        elif part.http:
            found[part.name] = HttpSource(part.name, part.http, part.http.secret.read(environment))
    return found


def _sns(name: str, part: SnsPart, resolver: AbstractResolver | None) -> SnsSource:
    trust = ssl.create_default_context(cafile=part.ca_file) if part.ca_file else ssl.create_default_context()
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust, limit=4, resolver=resolver))
    return SnsSource(name, frozenset(part.topics), Certificates(session))


def _twilio(
    name: str, part: TwilioCallbackPart, environment: Mapping[str, str], vocabulary: Vocabulary
) -> TwilioSource:
    return TwilioSource(
        name,
        part.auth_token.read(environment),
        workspaces=tuple(part.workspaces),
        vocabulary=vocabulary,
    )
