"""The certificates that Amazon SNS signs with: fetched from Amazon alone, over TLS, and kept while they are valid."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from clarion_edge.receipt import Forged

# "Verifying the signatures of Amazon SNS messages", SNS Developer Guide: the URL must be of SNS itself, else anybody
# could sign with a certificate of theirs.
_HOST = r"https://sns\.[a-z0-9-]{3,30}\.amazonaws\.com(?:\.cn)?"
_CERTIFICATE = re.compile(rf"{_HOST}/SimpleNotificationService-[0-9a-z]{{1,64}}\.pem")
_CONFIRMATION = re.compile(rf"{_HOST}/\?Action=ConfirmSubscription&[!-~]{{1,2000}}")
_LONGEST = 64 * 1024
_KEPT = 64
TIMEOUT_S = 10.0

_Certificate = tuple[RSAPublicKey, datetime, datetime]  # its key, and from when until when it is valid


class Unfetched(Exception):
    """Amazon did not answer as it should: whoever called us may come again."""


class Certificates:
    """Public keys by the URL of their certificate, and the visits to Amazon. `session` decides whom TLS trusts."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._kept: dict[str, _Certificate] = {}
        self._lock = asyncio.Lock()

    async def key(self, url: str) -> RSAPublicKey:
        """The key to check a signature with. `Forged` for a URL that is not Amazon's; `Unfetched`."""
        if not _CERTIFICATE.fullmatch(url):
            raise Forged("its certificate is not at Amazon's")
        key, begins, ends = self._kept.get(url) or await self._fetched(url)
        if not begins <= datetime.now(UTC) <= ends:
            self._kept.pop(url, None)
            raise Forged("its certificate is not valid now")
        return key

    async def confirm(self, url: str) -> None:
        """Say yes to a subscription. `Forged` for a URL that is not Amazon's; `Unfetched`."""
        if not _CONFIRMATION.fullmatch(url):
            raise Forged("its confirmation is not at Amazon's")
        await self._get(url)

    async def _fetched(self, url: str) -> _Certificate:
        async with self._lock:  # a crowd of messages fetches it once; those that know theirs do not wait here
            if url not in self._kept:
                certificate = _parsed(await self._get(url))
                if len(self._kept) >= _KEPT:
                    self._kept.clear()
                self._kept[url] = certificate
            return self._kept[url]

    async def _get(self, url: str) -> bytes:
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                self._session.get(url, allow_redirects=False) as answer,
            ):
                body = await answer.content.read(_LONGEST)
                if answer.status != 200:
                    raise Unfetched(f"status {answer.status}")
                return body
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unfetched(type(error).__name__) from None

    async def close(self) -> None:
        """Let go of connections."""
        await self._session.close()


def _parsed(pem: bytes) -> _Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        key = certificate.public_key()
    except ValueError:
        raise Unfetched("no certificate") from None
    if not isinstance(key, RSAPublicKey):
        raise Unfetched("no RSA key")
    return key, certificate.not_valid_before_utc, certificate.not_valid_after_utc
