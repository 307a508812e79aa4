"""Who messages are from that do not say so themselves: the channel's sender to their country."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from clarion_core.configuration.channels import SmsPart
from clarion_core.domain.outcome import Outcome
from clarion_core.domain.sender import Senders
from clarion_core.telephone import country_of
from clarion_workers.channels import Channel, Found, Listens
from clarion_workers.channels.kind import Opening
from clarion_workers.channels.sms.message import SmsMessage


class FromSenders:
    """A `Channel` that gives each message without a sender the one to its country."""

    def __init__(self, channel: Channel[SmsMessage], senders: Senders) -> None:
        self._channel, self._senders = channel, senders

    async def send(self, messages: Sequence[SmsMessage]) -> list[Outcome]:
        """Hand the messages over. See `Channel.send`."""
        return await self._channel.send([self._from(message) for message in messages])

    async def check(self) -> Found:
        """Look at the channel. See `Channel.check`."""
        return await self._channel.check()

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def listen(self) -> None:
        """Have the channel listen, where it can."""
        if isinstance(self._channel, Listens):
            await self._channel.listen()

    def _from(self, message: SmsMessage) -> SmsMessage:
        if message.sender:
            return message
        country = country_of(message.to_number) if self._senders.by_country else ""
        return replace(message, sender=self._senders.of(country))


def from_senders(channel: Channel[SmsMessage], opening: Opening) -> Channel[SmsMessage]:
    """The channel, with the senders that its configuration has."""
    if isinstance(opening.channel, SmsPart) and (opening.channel.sender or opening.channel.senders):
        return FromSenders(channel, opening.channel.by_country())
    return channel
