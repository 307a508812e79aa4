"""What the tests of SMPP send, and what an SMSC sends them."""

from __future__ import annotations

import asyncio
from typing import Any

from clarion_workers.channels.sms.inbound import Inbound, Receipt
from clarion_workers.channels.sms.message import SmsMessage
from clarion_workers.channels.sms.smpp import SmppChannel
from support.peers.smpp import SmppPeer

LONG = "0123456789" * 40  # 3 segments
THROTTLED, QUEUE_FULL, SYSTEM_ERROR, NOT_BOUND = 0x58, 0x14, 0x08, 0x04
RECEIPT_TYPE = 4


class Listener:
    """Takes in what comes, or says that it can't for now."""

    def __init__(self) -> None:
        self.receipts: asyncio.Queue[Receipt] = asyncio.Queue()
        self.inbound: asyncio.Queue[Inbound] = asyncio.Queue()
        self.broken = False
        self.may = asyncio.Event()
        self.may.set()

    async def on_receipt(self, receipt: Receipt) -> None:
        if self.broken:
            raise ConnectionError("the store is away")
        self.receipts.put_nowait(receipt)
        await self.may.wait()

    async def on_inbound(self, inbound: Inbound) -> None:
        self.inbound.put_nowait(inbound)


def takes(peer: SmppPeer, number: int = 1, text: str = "Hi", **changes: Any) -> SmsMessage:
    return peer.message("takes", number, text, **changes)


def receipt(message_id: str, word: str = "DELIVRD") -> dict[str, Any]:
    return {
        "esm_class": RECEIPT_TYPE,
        "source_addr": "4915100000001",
        "destination_addr": "Clarion",
        "short_message": f"id:{message_id} sub:001 dlvrd:001 submit date:2611280800 done date:2611280801 stat:{word} "
        "err:000 text:Hi",
    }


async def one(channel: SmppChannel, message: SmsMessage) -> Any:
    [outcome] = await channel.send([message])
    return outcome
