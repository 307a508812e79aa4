"""The SMTP inlet: takes mail to bounce addresses and no others. It is the domain's mail server, or stands behind it."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Sequence

from aiosmtpd.smtp import SMTP, Envelope, Session

from clarion_core import logs, verp
from clarion_core.domain.errors import ClarionError
from clarion_core.hearing import Hearing
from clarion_edge import returned
from clarion_edge.tally import Tally

LONGEST_MESSAGE = 1024 * 1024
PROVIDER = "dsn"
COMPLAINTS = "complaints"
"""The local part that complaints of feedback loops go to: they name the bounce address themselves."""

_TIMEOUT_S = 60.0
_COMMANDS_MAX = 200  # a connection that says more wants something else
CONNECTIONS_MAX = 200  # at once; more are told to come later

log = logs.get(__name__)


class InletPortTaken(Exception):
    """The port can't be bound."""


class _Full(asyncio.Protocol):
    """Sends away whoever connects, before anything was said."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say why, and close (asyncio)."""
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"421 4.3.2 too many connections\r\n")
        transport.close()


class Inlet:
    """Listens for mail that comes back."""

    def __init__(self, domain: str, secrets: Sequence[bytes], hearing: Hearing, tally: Tally) -> None:
        self._domain, self._secrets = domain, secrets
        self._hearing, self._tally = hearing, tally
        self._server: asyncio.Server | None = None
        self._connections: weakref.WeakSet[SMTP] = weakref.WeakSet()

    async def start(self, host: str, port: int) -> int:
        """Listen; the port. `InletPortTaken`."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._connection, host, port)
        except OSError:
            raise InletPortTaken from None
        taken: int = self._server.sockets[0].getsockname()[1]
        return taken

    async def stop(self) -> None:
        """Take nothing more; what is not answered comes again."""
        if self._server is None:
            return
        self._server.close()
        for each in [each.transport for each in self._connections if each.transport is not None]:
            each.close()
        await self._server.wait_closed()

    def _connection(self) -> asyncio.BaseProtocol:
        if sum(each.transport is not None for each in self._connections) >= CONNECTIONS_MAX:
            return _Full()
        made: asyncio.StreamReaderProtocol = SMTP(
            self,
            data_size_limit=LONGEST_MESSAGE,
            enable_SMTPUTF8=True,
            hostname=self._domain,
            ident="Clarion",
            timeout=_TIMEOUT_S,
            command_call_limit=_COMMANDS_MAX,
            loop=asyncio.get_running_loop(),
        )
        self._connections.add(made)
        return made

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name for it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Only addresses that we made are taken, so nobody can have us send or keep anything."""
        local, _, domain = address.lower().rpartition("@")
        ours = local in (COMPLAINTS, verp.COPY) and domain == self._domain
        if not ours and not self._delivery(address):
            self._tally.count(PROVIDER, "forged")
            return "550 5.1.1 no such bounce address"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Answered once what it tells is noted."""
        content, sender = envelope.original_content or b"", (envelope.mail_from or "").strip("<>")
        found = await asyncio.to_thread(returned.read, content, sender=sender, provider=PROVIDER)
        try:
            for delivery in self._deliveries(envelope.rcpt_tos, found):
                if found.fact is None:
                    self._tally.count(PROVIDER, "ignored")
                    continue
                noted = await self._hearing.hear(delivery, found.fact)
                self._tally.noted(PROVIDER, found.fact, noted)
        except ClarionError as error:
            log.warning("mail_not_noted", reason=error.reason)
            return "451 4.3.0 not noted: come again"
        return "250 2.0.0 noted"

    async def handle_exception(self, error: Exception) -> str:
        """A defect of ours: the log has it, the sender comes again."""
        log.error("mail_failed", exc_info=error)
        return "451 4.3.0 not noted: come again"

    def _deliveries(self, recipients: Sequence[str], found: returned.Returned) -> list[str]:
        named = [*recipients, *found.bounce_addresses]
        return list(dict.fromkeys(filter(None, map(self._delivery, named))))

    def _delivery(self, address: str) -> str | None:
        return verp.decode(address, self._domain, self._secrets)
