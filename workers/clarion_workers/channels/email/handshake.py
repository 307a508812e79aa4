"""From nothing to a connection that takes mail: TCP, TLS, greeting, EHLO, STARTTLS, AUTH; one step at a time."""

from __future__ import annotations

import asyncio
import ssl
from ipaddress import ip_address
from socket import gethostname

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import TransientFailure
from clarion_workers.channels.email.auth import NoWay, authenticate
from clarion_workers.channels.email.config import SmtpConfig
from clarion_workers.channels.email.replies import CLOSING, Offers, parse_offers
from clarion_workers.channels.email.wire import Wire, ignore_loss, ignore_reply, shown


class NotOpened(Exception):
    """No connection; `outcome` is what that means for a message. Never permanent: the message is not at fault."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.outcome = TransientFailure(reason=reason, detail=detail)


async def open_wire(config: SmtpConfig, tls: ssl.SSLContext | None) -> tuple[Wire, Offers]:
    """A connection on which MAIL may be said, and what the server offers there. `NotOpened` where there is none.

    Every step takes `config.timeout_s` at most. Credentials go over TLS or to a loopback address only.
    """
    wire = Wire()
    handshake = _Handshake(config, wire)  # listens before anything can arrive
    await _connect(config, wire, tls if config.security == "tls" else None)
    try:
        return wire, await handshake.run(tls if config.security == "starttls" else None)
    except BaseException:
        wire.on_reply, wire.on_lost = ignore_reply, ignore_loss
        wire.abort("the handshake failed")
        raise


async def _connect(config: SmtpConfig, wire: Wire, tls: ssl.SSLContext | None) -> None:
    loop = asyncio.get_running_loop()
    name = config.host if tls else None
    try:
        async with asyncio.timeout(config.timeout_s):
            await loop.create_connection(lambda: wire, config.host, config.port, ssl=tls, server_hostname=name)
    except ssl.SSLError as error:
        raise NotOpened(Reason.PROVIDER_CREDENTIALS, f"TLS failed: {_words(error)}") from None
    except TimeoutError:
        raise NotOpened(Reason.PROVIDER_UNREACHABLE, f"no connection within {config.timeout_s:g} s") from None
    except OSError as error:
        detail = f"no connection: {error.strerror or type(error).__name__}"
        raise NotOpened(Reason.PROVIDER_UNREACHABLE, detail) from None


class _Handshake:
    def __init__(self, config: SmtpConfig, wire: Wire) -> None:
        self._config = config
        self._wire = wire
        self._arrived: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()
        wire.on_reply = lambda code, text: self._arrived.put_nowait((code, text))
        wire.on_lost = lambda detail: self._arrived.put_nowait((0, detail.encode()))

    async def run(self, start_tls: ssl.SSLContext | None) -> Offers:
        self._expect(220, *await self._reply())
        offers = await self._ehlo()
        if start_tls:
            await self._start_tls(start_tls, offers)
            offers = await self._ehlo()  # RFC 3207 §4.2: what was learnt in the clear is forgotten
        if self._config.username:
            await self._authenticate(offers)
        return offers

    async def _reply(self) -> tuple[int, bytes]:
        try:
            async with asyncio.timeout(self._config.timeout_s):
                code, text = await self._arrived.get()
        except TimeoutError:
            detail = f"no reply within {self._config.timeout_s:g} s of the handshake"
            raise NotOpened(Reason.PROVIDER_UNREACHABLE, detail) from None
        if not code:
            raise NotOpened(Reason.PROVIDER_UNREACHABLE, text.decode())
        return code, text

    async def _ask(self, command: str) -> tuple[int, bytes]:
        self._wire.write(f"{command}\r\n".encode())
        return await self._reply()

    def _expect(self, wanted: int, code: int, text: bytes) -> None:
        if code != wanted:
            reason = Reason.PROVIDER_DEFERRED if 400 <= code < 500 else Reason.PROVIDER_UNREACHABLE
            raise NotOpened(reason, shown(code, text))

    async def _ehlo(self) -> Offers:
        name = self._config.helo or _host_name(self._wire)
        code, text = await self._ask(f"EHLO {name}")
        if code in (500, 502, 504):  # RFC 5321 §3.2: a server from before EHLO
            self._expect(250, *await self._ask(f"HELO {name}"))
            return Offers()
        self._expect(250, code, text)
        return parse_offers(text)

    async def _start_tls(self, tls: ssl.SSLContext, offers: Offers) -> None:
        if not offers.starttls:
            raise NotOpened(Reason.PROVIDER_CREDENTIALS, "TLS failed: the server does not offer STARTTLS")
        code, text = await self._ask("STARTTLS")
        # Bytes beyond the reply came in the clear and must not pass for the server's (CVE-2011-0411).
        if code != 220 or self._wire.midway or not self._arrived.empty():
            raise NotOpened(Reason.PROVIDER_CREDENTIALS, f"TLS failed: {shown(code, text)}")
        await self._upgrade(tls)

    async def _upgrade(self, tls: ssl.SSLContext) -> None:
        loop, wire, host = asyncio.get_running_loop(), self._wire, self._config.host
        try:
            async with asyncio.timeout(self._config.timeout_s):
                secured = await loop.start_tls(wire.transport, wire, tls, server_hostname=host)
        except (OSError, TimeoutError) as error:
            raise NotOpened(Reason.PROVIDER_CREDENTIALS, f"TLS failed: {_words(error)}") from None
        if secured is None:  # the connection was lost at the very end
            raise NotOpened(Reason.PROVIDER_CREDENTIALS, "TLS failed: the connection was lost")
        wire.attach(secured)

    async def _authenticate(self, offers: Offers) -> None:
        if self._config.security == "none" and not _is_loopback(self._wire.peer):
            raise NotOpened(Reason.PROVIDER_CREDENTIALS, "credentials are not sent in the clear; set smtp_security")
        try:
            code, text = await authenticate(self._config, offers.auth, self._ask)
        except NoWay as error:
            raise NotOpened(Reason.PROVIDER_CREDENTIALS, str(error)) from None
        if code != 235:
            reason = Reason.PROVIDER_DEFERRED if code == CLOSING else Reason.PROVIDER_CREDENTIALS
            raise NotOpened(reason, shown(code, text))


def _is_loopback(address: str) -> bool:
    return bool(address) and ip_address(address.partition("%")[0]).is_loopback


def _host_name(wire: Wire) -> str:
    """The full name of this host, or its address where it has none (RFC 5321 §4.1.4)."""
    name = gethostname()
    if "." in name and name.replace(".", "").replace("-", "").isalnum() and name.isascii():
        return name
    address = wire.own_address.partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
