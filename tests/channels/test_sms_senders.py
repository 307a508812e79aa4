"""Who messages are from that do not say so themselves."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trustme

from clarion_core.configuration.channels import SmsPart, SmsProvider
from clarion_core.configuration.smpp import SmppPart
from clarion_core.domain.outcome import Sent
from clarion_workers.channels.kind import Opening
from clarion_workers.channels.sms.smpp import SMPP
from support.peers import smpp
from support.peers.smpp import SmppPeer

ENVIRONMENT = {"SMSC_PASSWORD": "right"}


@pytest.fixture
async def peer(server_tls: ssl.SSLContext, ca: trustme.CA) -> AsyncIterator[SmppPeer]:
    async with smpp.peer(server_tls, ca) as made:
        yield made
        await made.close()


def configured(peer: SmppPeer, **texting: Any) -> SmsPart:
    server = {"host": "127.0.0.1", "port": peer.smsc.port, "system_id": "clarion", "password": {"env": "SMSC_PASSWORD"}}
    return SmsPart(providers=[SmsProvider(name="one", smpp=SmppPart.model_validate(server))], **texting)


async def senders_of(peer: SmppPeer, part: SmsPart, *numbers: str, sender: str = "") -> list[str]:
    opening = Opening(environment=ENVIRONMENT, message_id_domain="mail.example.com", channel=part)
    [provider] = part.providers
    channel = SMPP.open(provider.settings, opening)
    try:
        for number in numbers:
            [outcome] = await channel.send([peer.message("takes", 1, to_number=number, sender=sender)])
            assert isinstance(outcome, Sent)
    finally:
        await channel.close()
    return [message["from"] for message in peer.smsc.messages]


async def test_each_country_gets_its_sender_and_the_others_the_usual_one(peer: SmppPeer) -> None:
    part = configured(peer, sender="Clarion", senders={"US": "+12025550123", "FR": "36105"})
    peer.smsc.tell("script", [0, 0, 0])  # whatever the numbers say
    found = await senders_of(peer, part, "+13025550199", "+33612345678", "+4915100000001")
    assert found == ["12025550123", "36105", "Clarion"]


async def test_a_message_that_says_whom_it_is_from_is_from_them(peer: SmppPeer) -> None:
    part = configured(peer, sender="Clarion", senders={"DE": "47110"})
    assert await senders_of(peer, part, "+4915100000001", sender="Lumen") == ["Lumen"]


async def test_without_senders_it_is_the_smscs_own(peer: SmppPeer) -> None:
    assert await senders_of(peer, configured(peer), "+4915100000001") == [""]
