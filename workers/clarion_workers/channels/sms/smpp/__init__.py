"""SMPP 3.4: an asynchronous client of our own, bound as a transceiver."""

from clarion_core.configuration.channels import SmsPart
from clarion_core.configuration.smpp import SmppPart
from clarion_core.domain.medium import Medium
from clarion_workers.channels import Channel
from clarion_workers.channels.kind import Opening, ProviderKind, Supports
from clarion_workers.channels.sms.listening import Listener
from clarion_workers.channels.sms.message import SmsMessage
from clarion_workers.channels.sms.senders import from_senders
from clarion_workers.channels.sms.smpp.channel import SmppChannel
from clarion_workers.channels.sms.smpp.config import SmppConfig, from_part

__all__ = ["SMPP", "SmppChannel", "SmppConfig"]


def _open(part: SmppPart, opening: Opening) -> Channel[SmsMessage]:
    channel = SmppChannel(from_part(part, opening.secret(part.password)))
    if opening.hears and isinstance(opening.channel, SmsPart):
        channel.ears = Listener(opening.hears, opening.channel, opening.provider, channel.send, scope=opening.scope)
    return from_senders(channel, opening)


SMPP = ProviderKind(
    title="SMSC over SMPP 3.4",
    medium=Medium.SMS,
    open=_open,
    supports=Supports(
        provider_id="of every segment",
        expiry="validity_period",
        receipts="deliver_sm, over the same connection",
    ),
    notes="Nothing in SMPP keeps a second hand-over from being a second message; user_message_reference is the same in "
    "every attempt.",
)
