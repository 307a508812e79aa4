"""What catchers of every channel share: they keep messages in one mailbox, and its page follows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from clarion_core import logs
from clarion_core.domain.medium import Channel
from clarion_stack.mailbox import Mailbox
from clarion_stack.records import Record

PAGE_INTERVAL_S = 1.0


class Arrivals:
    """Takes messages into a mailbox. Each is a file there once the call returns; `OSError` where it can't be kept."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox
        self._arrived = asyncio.Event()

    def deliver(self, sender: str, recipients: Sequence[str], content: bytes) -> None:
        """Keep a mail."""
        self.mailbox.deliver(sender, recipients, content)
        self._arrived.set()

    def keep(self, channel: Channel, message_id: str, record: Record) -> None:
        """Keep a message of another channel."""
        self.mailbox.keep(channel, message_id, record)
        self._arrived.set()

    async def keep_page_current(self) -> None:
        """Have the page follow within a second, for good."""
        while True:
            try:
                await asyncio.to_thread(self.mailbox.refresh_page)
            except OSError as error:
                logs.get(__name__).error("page_not_written", error=error.strerror)
            await self._arrived.wait()
            self._arrived.clear()
            await asyncio.sleep(PAGE_INTERVAL_S)  # what arrives meanwhile is in the same page


@asynccontextmanager
async def arrivals_in(mailbox: Mailbox) -> AsyncIterator[Arrivals]:
    """Keep messages while inside. The page follows within a second, and is complete at the end."""
    arrivals = Arrivals(mailbox)
    writer = asyncio.create_task(arrivals.keep_page_current())
    try:
        yield arrivals
    finally:
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
        mailbox.refresh_page()
