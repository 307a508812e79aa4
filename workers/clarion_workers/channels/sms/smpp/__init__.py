"""SMPP 3.4: an asynchronous client of our own, bound as a transceiver."""

from clarion_core.configuration.smpp import SmppPart
from clarion_core.domain.medium import Medium
from clarion_workers.channels.kind import Opening, ProviderKind, Supports
from clarion_workers.channels.sms.smpp.channel import SmppChannel
from clarion_workers.channels.sms.smpp.config import SmppConfig, from_part

__all__ = ["SMPP", "SmppChannel", "SmppConfig"]


def _open(part: SmppPart, opening: Opening) -> SmppChannel:
    return SmppChannel(from_part(part, opening.secret(part.password)))


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
