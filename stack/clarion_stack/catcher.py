"""The mail catcher: an SMTP server that takes every message and keeps it in a mailbox. Not made for load."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiosmtpd.smtp import SMTP, Envelope, Session

from clarion_core import logs
from clarion_stack.arrivals import Arrivals, arrivals_in
from clarion_stack.mailbox import Mailbox
from clarion_stack.returning import send_back

LONGEST_MESSAGE = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounce:
    """Mail to this address is kept like any other, and comes back: to the mail server at the port."""

    address: str
    host: str
    port: int


class _Catcher:
    """aiosmtpd's handler: a message is in the mailbox before it is answered with 250."""

    def __init__(self, arrivals: Arrivals, bounce: Bounce | None) -> None:
        self._arrivals = arrivals
        self._bounce = bounce
        self._returning: set[asyncio.Task[None]] = set()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        try:
            self._arrivals.deliver(envelope.mail_from or "", envelope.rcpt_tos, envelope.original_content or b"")
        except OSError as error:
            logs.get(__name__).error("message_not_kept", error=error.strerror)
            return f"452 4.3.1 not kept: {error.strerror}"
        if self._bounce and self._bounce.address in envelope.rcpt_tos and envelope.mail_from:
            task = asyncio.create_task(self._send_back(self._bounce, envelope.mail_from, envelope))
            self._returning.add(task)
            task.add_done_callback(self._returning.discard)
        return "250 2.0.0 kept"

    async def _send_back(self, bounce: Bounce, sender: str, envelope: Envelope) -> None:
        """Once it was taken, as a server does that only finds out later."""
        content = envelope.original_content or b""
        try:
            await asyncio.to_thread(send_back, bounce.port, bounce.host, sender, bounce.address, content)
        except OSError as error:  # of which smtplib's are some
            logs.get(__name__).warning("message_not_sent_back", error=type(error).__name__)


@asynccontextmanager
async def catch_mail(
    mailbox: Mailbox, host: str = "127.0.0.1", port: int = 0, bounce: Bounce | None = None
) -> AsyncIterator[int]:
    """Catch mail while inside; yields the port, a free one for 0. The page follows within a second and at the end."""
    async with arrivals_in(mailbox) as arrivals, take_mail(arrivals, host, port, bounce) as taken:
        yield taken


@asynccontextmanager
async def take_mail(arrivals: Arrivals, host: str, port: int, bounce: Bounce | None) -> AsyncIterator[int]:
    """As `catch_mail`, beside catchers of other channels."""
    loop = asyncio.get_running_loop()
    handler = _Catcher(arrivals, bounce)
    connections: weakref.WeakSet[SMTP] = weakref.WeakSet()

    def connection() -> SMTP:
        made = SMTP(handler, data_size_limit=LONGEST_MESSAGE, enable_SMTPUTF8=True, hostname="mailbox", loop=loop)
        connections.add(made)
        return made

    # aiosmtpd's own Controller can't take a free port.
    server = await loop.create_server(connection, host, port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for open_one in [each.transport for each in connections if each.transport is not None]:
            open_one.close()
        await server.wait_closed()
