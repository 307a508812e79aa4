"""The mail catcher: an SMTP server that takes every message and keeps it in a mailbox. Not made for load."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiosmtpd.smtp import SMTP, Envelope, Session

from clarion_core import logs
from clarion_stack.mailbox import Mailbox
from clarion_stack.returning import send_back

LONGEST_MESSAGE = 32 * 1024 * 1024
PAGE_INTERVAL_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounce:
    """Mail to this address is kept like any other, and comes back: to the mail server at the port."""

    address: str
    host: str
    port: int


class _Catcher:
    """aiosmtpd's handler: a message is in the mailbox before it is answered with 250."""

    def __init__(self, mailbox: Mailbox, arrived: asyncio.Event, bounce: Bounce | None) -> None:
        self._mailbox = mailbox
        self._arrived = arrived
        self._bounce = bounce
        self._returning: set[asyncio.Task[None]] = set()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        try:
            self._mailbox.deliver(envelope.mail_from or "", envelope.rcpt_tos, envelope.original_content or b"")
        except OSError as error:
            logs.get(__name__).error("message_not_kept", error=error.strerror)
            return f"452 4.3.1 not kept: {error.strerror}"
        self._arrived.set()
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
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    handler = _Catcher(mailbox, arrived, bounce)
    connections: weakref.WeakSet[SMTP] = weakref.WeakSet()

    def connection() -> SMTP:
        made = SMTP(handler, data_size_limit=LONGEST_MESSAGE, enable_SMTPUTF8=True, hostname="mailbox", loop=loop)
        connections.add(made)
        return made

    # aiosmtpd's own Controller can't take a free port.
    server = await loop.create_server(connection, host, port)
    writer = asyncio.create_task(_keep_page_current(mailbox, arrived))
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for open_one in [each.transport for each in connections if each.transport is not None]:
            open_one.close()
        writer.cancel()
        await asyncio.gather(writer, server.wait_closed(), return_exceptions=True)
        mailbox.refresh_page()


async def _keep_page_current(mailbox: Mailbox, arrived: asyncio.Event) -> None:
    while True:
        try:
            await asyncio.to_thread(mailbox.refresh_page)
        except OSError as error:
            logs.get(__name__).error("page_not_written", error=error.strerror)
        await arrived.wait()
        arrived.clear()
        await asyncio.sleep(PAGE_INTERVAL_S)  # what arrives meanwhile is in the same page
