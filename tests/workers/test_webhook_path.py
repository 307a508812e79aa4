"""From an accepted trigger to customers' endpoints: a real server, a real worker, endpoints that verify."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from clarion.v1 import delivery_pb2, delivery_service_pb2, trigger_pb2
from clarion_core.store.store import Store
from support.clarion import Clarion, a_recipient
from support.contents import a_webhook
from support.invariants import check
from support.records import Records
from support.webhooks.calls import ENVIRONMENT, OTHER, SECRET
from support.webhooks.consumer import Consumer

State = delivery_pb2.Delivery
CHANNELS = """\
webhook:
  retry: {{schedule_s: [1], max_attempts: 3}}
  providers:
    - name: endpoints
      webhook:
        ca_file: {ca_file}
        endpoints:
          - {{url: "{first}", secrets: [{{env: SECRET}}]}}
          - {{url: "{second}/b", secrets: [{{env: OTHER}}]}}
        egress: {{origins: ["{first}", "{second}"]}}
"""


@pytest.fixture(autouse=True)
async def _accounted(store: Store, clarion: Clarion) -> Any:
    yield
    await check(Records(store))


@pytest.fixture
def tls() -> tuple[ssl.SSLContext, trustme.CA]:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context, authority


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def to(*urls: str) -> list[trigger_pb2.Recipient]:
    return [a_recipient(index, addresses={"webhook": url}) for index, url in enumerate(urls)]


async def ended(clarion: Clarion, *urls: str) -> list[delivery_pb2.Delivery]:
    """The deliveries to these endpoints, once each is accounted for."""
    trigger = await clarion.finished((await clarion.trigger(recipients=to(*urls))).name)
    request = delivery_service_pb2.ListDeliveriesRequest(trigger=trigger.name, page_size=100)
    return list((await clarion.deliveries.ListDeliveries(request)).deliveries)


def told(delivery: delivery_pb2.Delivery) -> tuple[str, str, int]:
    reason = State.Reason.Name(delivery.reason).removeprefix("REASON_")
    return State.State.Name(delivery.state).removeprefix("STATE_"), reason, delivery.attempts


async def test_each_customers_endpoint_is_called_signed_with_its_own_secret_and_410_is_the_last_call(
    clarion: Clarion, tls: tuple[ssl.SSLContext, trustme.CA], tmp_path: Path
) -> None:
    context, authority = tls
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with Consumer(SECRET, context) as first, Consumer(OTHER, context) as second:
        first.statuses |= {"gone": (410, {}), "down": (503, {})}
        channels = tmp_path / "channels.yaml"
        channels.write_text(CHANNELS.format(ca_file="ca.pem", first=first.origin, second=second.origin))
        await clarion.live_campaign(contents=[a_webhook({"user": "{{ recipient.user_id }}", "n": 7})])
        await clarion.work(1, channels=channels)

        urls = [
            f"{first.origin}/a/1",
            f"{second.origin}/b/2",
            f"{first.origin}/gone/3",
            f"{first.origin}/down/4",
            f"{second.origin}/unknown/5",
            "https://169.254.169.254/latest/meta-data/",
        ]
        deliveries = await ended(clarion, *urls)
        assert [told(each) for each in deliveries] == [
            ("SENT", "UNSPECIFIED", 1),
            ("SENT", "UNSPECIFIED", 1),
            ("FAILED", "ENDPOINT_GONE", 1),
            ("FAILED", "RECIPIENT_DEFERRED", 3),
            ("FAILED", "ENDPOINT_FORBIDDEN", 1),
            ("FAILED", "ENDPOINT_FORBIDDEN", 1),
        ]
        assert deliveries[3].detail == "answered 503"
        assert deliveries[4].detail == "may not be called: the channel configuration has no secret for it"
        assert deliveries[5].detail == "may not be called: an address that is not public (link-local)"
        assert (first.unverified, second.unverified) == (0, 0)
        for consumer, delivery in ((first, deliveries[0]), (second, deliveries[1])):
            [called] = consumer.called
            assert called.id == delivery.name.rpartition("/")[2]
            assert json.loads(called.body) == {"user": delivery.user_id, "n": 7}

        again = await ended(clarion, urls[2], urls[0])
        assert [told(each) for each in again] == [
            ("SUPPRESSED", "ADDRESS_SUPPRESSED", 0),
            ("SENT", "UNSPECIFIED", 1),
        ]
        assert again[0].detail.startswith("ENDPOINT_GONE since ")


async def test_a_call_that_got_no_answer_comes_again_under_the_same_id(
    clarion: Clarion, tls: tuple[ssl.SSLContext, trustme.CA], tmp_path: Path
) -> None:
    context, authority = tls
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with Consumer(SECRET, context) as first:
        channels = tmp_path / "channels.yaml"
        channels.write_text(CHANNELS.format(ca_file="ca.pem", first=first.origin, second="https://b.example"))
        await clarion.live_campaign(contents=[a_webhook()])
        await clarion.work(1, channels=channels)
        [delivery] = await ended(clarion, f"{first.origin}/drop/1")
        assert told(delivery) == ("AMBIGUOUS", "HANDOVER_UNKNOWN", 3)
        assert {call.id for call in first.called} == {delivery.name.rpartition("/")[2]}
        assert len(first.called) == 3


async def test_a_campaigns_own_endpoint_that_is_gone_is_suppressed_and_no_other_campaigns(
    clarion: Clarion, tls: tuple[ssl.SSLContext, trustme.CA], tmp_path: Path
) -> None:
    context, authority = tls
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with Consumer(SECRET, context) as first:
        first.statuses |= {"gone": (410, {})}
        channels = tmp_path / "channels.yaml"
        channels.write_text(CHANNELS.format(ca_file="ca.pem", first=first.origin, second="https://b.example"))
        await clarion.live_campaign(contents=[a_webhook(url=f"{first.origin}/gone/1")])
        await clarion.live_campaign("second", contents=[a_webhook(url=f"{first.origin}/a/1")])
        await clarion.work(1, channels=channels)
        ends = []
        for campaign in ("welcome", "welcome", "second"):
            trigger = await clarion.trigger(campaign=f"campaigns/{campaign}", recipients=[a_recipient(0, addresses={})])
            request = delivery_service_pb2.ListDeliveriesRequest(trigger=(await clarion.finished(trigger.name)).name)
            ends += [told(each) for each in (await clarion.deliveries.ListDeliveries(request)).deliveries]
        assert ends == [
            ("FAILED", "ENDPOINT_GONE", 1),
            ("SUPPRESSED", "ADDRESS_SUPPRESSED", 0),
            ("SENT", "UNSPECIFIED", 1),
        ]
