"""The public surface is a list: what is added or taken away is meant."""

from __future__ import annotations

import inspect

import clarion_client
from clarion.v1 import (
    campaign_service_pb2,
    channel_configuration_service_pb2,
    delivery_service_pb2,
    suppression_service_pb2,
    trigger_service_pb2,
    worker_service_pb2,
)

PUBLIC = {
    "REASONS", "Aborted", "AlreadyExists", "Clarion", "ClarionError", "DeadLetterFilter", "DeadlineExceeded",
    "FailedPrecondition", "Internal", "InvalidArgument", "JsonLike", "NotFound", "OutOfRange", "RecipientLike",
    "Redriven", "ResourceExhausted", "RetryConfig", "Unavailable", "Violation", "campaign_name",
    "configuration_name", "connect",
    "delivery_name", "lane_name", "list_target", "short_name", "trigger_name", "worker_name",
}  # fmt: skip


def test_the_package_exports_this_and_nothing_else() -> None:
    assert set(clarion_client.__all__) == PUBLIC
    assert all(hasattr(clarion_client, name) for name in PUBLIC)
    visible = {name for name, value in vars(clarion_client).items() if not name.startswith("_")}
    assert {name for name in visible if not inspect.ismodule(vars(clarion_client)[name])} == PUBLIC


def test_the_client_has_one_method_for_every_rpc_and_no_other() -> None:
    rpcs = {
        method.name
        for module in (
            campaign_service_pb2,
            trigger_service_pb2,
            delivery_service_pb2,
            worker_service_pb2,
            suppression_service_pb2,
            channel_configuration_service_pb2,
        )
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    methods = {name for name in dir(clarion_client.Clarion) if not name.startswith("_")}
    assert methods == {"".join(f"_{c.lower()}" if c.isupper() else c for c in rpc).lstrip("_") for rpc in rpcs}


def test_names_are_taken_in_full_and_in_short() -> None:
    assert clarion_client.campaign_name("welcome") == clarion_client.campaign_name("campaigns/welcome")
    trigger, delivery = "campaigns/welcome/triggers/t", "campaigns/welcome/triggers/t/deliveries/t-1"
    assert clarion_client.trigger_name("welcome/t") == clarion_client.trigger_name(trigger) == trigger
    assert clarion_client.delivery_name("welcome/t/t-1") == clarion_client.delivery_name(delivery) == delivery
    assert clarion_client.trigger_name("welcome") == "welcome"
    assert (
        clarion_client.worker_name("mill-7-a") == clarion_client.worker_name("workers/mill-7-a") == "workers/mill-7-a"
    )
    assert clarion_client.lane_name("marketing") == clarion_client.lane_name("lanes/marketing") == "lanes/marketing"
    assert clarion_client.short_name("lanes/marketing") == "marketing"
    full = clarion_client.configuration_name("orders-sms")
    assert full == clarion_client.configuration_name(full) == "channelConfigurations/orders-sms"
    assert clarion_client.short_name(full) == "orders-sms"
    assert clarion_client.short_name(delivery) == "welcome/t/t-1"
    assert clarion_client.short_name("anything else") == "anything else"
