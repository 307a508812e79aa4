"""Whatever is sent, the answer is an answer or an error that the contract knows: never INTERNAL, never UNKNOWN."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf import struct_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from clarion.v1 import (
    campaign_service_pb2,
    channel_configuration_service_pb2,
    delivery_service_pb2,
    suppression_service_pb2,
    trigger_service_pb2,
    worker_service_pb2,
)
from support.clarion import CAMPAIGN, Clarion, a_recipient
from support.refusal import refusal_of

MODULES = {
    "CampaignService": campaign_service_pb2,
    "ChannelConfigurationService": channel_configuration_service_pb2,
    "DeliveryService": delivery_service_pb2,
    "SuppressionService": suppression_service_pb2,
    "TriggerService": trigger_service_pb2,
    "WorkerService": worker_service_pb2,
}
SERVICES = [module.DESCRIPTOR.services_by_name[name] for name, module in MODULES.items()]
METHODS = {method.name: method for service in SERVICES for method in service.methods}
EXAMPLES = 100  # of each method
TRIGGER = f"{CAMPAIGN}/triggers/{'0' * 27}"

# Values that get past the rules of the contract, and many that don't.
NAMES = [
    CAMPAIGN,
    "campaigns/other",
    TRIGGER,
    f"{TRIGGER}/deliveries/{'0' * 21}-0",
    f"{TRIGGER}/deliveries/{'z' * 21}-999999",
    "workers/host-1-abcdef",
    "lanes/marketing",
    "channels/email",
    "providers/main",
]
WORDS = [
    "",
    "welcome",
    "email",
    "webhook",
    "push",
    "en",
    "ana@example.com",
    "Shop <shop@example.com>",
    "{{ city }}",
    "{% for x in y %}",
    "city",
    "*",
    "contents",
    "3f0e7d1c-5b1e-4c53-9a37-5e5b2d1a0f11",
    "1-1",
    '"1"',
    "2026-11-24T08:00:00Z",
    *NAMES,
]
TEXT = st.one_of(st.sampled_from(WORDS), st.text(max_size=30), st.emails())
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_INT32: st.sampled_from([0, 1, 5, -1, 2**31 - 1, -(2**31)]),
    FieldDescriptor.CPPTYPE_INT64: st.sampled_from([0, 1, -1, 2**63 - 1]),
    FieldDescriptor.CPPTYPE_DOUBLE: st.floats() | st.sampled_from([0.1, 5.0, 50.0, 1e6]),
    FieldDescriptor.CPPTYPE_STRING: TEXT,
}


def values_of(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    kind = field.cpp_type
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=30)
    if kind == FieldDescriptor.CPPTYPE_MESSAGE:
        return messages(field.message_type)
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        return st.sampled_from([*field.enum_type.values_by_number, 99])
    return SCALARS[kind]


def fields_of(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    message = field.message_type
    if message and message.GetOptions().map_entry:
        return st.dictionaries(TEXT, values_of(message.fields_by_name["value"]), max_size=2)
    return st.lists(values_of(field), max_size=3) if field.is_repeated else values_of(field)


def messages(descriptor: Descriptor) -> st.SearchStrategy[Any]:
    """Messages with any of their fields set to anything; names and required fields mostly to what may pass."""
    if descriptor.full_name == struct_pb2.Struct.DESCRIPTOR.full_name:
        return st.dictionaries(TEXT, JSON, max_size=3)
    if descriptor.full_name == struct_pb2.Value.DESCRIPTOR.full_name:
        return JSON.map(as_value)
    often = {"name", "campaign", "trigger", "campaign_id", "recipients", "recipient", "contents", "email"}
    often |= {"channel", "target", "targets", "entries", "suppressions", "addresses"}
    present = {f.name: fields_of(f) for f in descriptor.fields if f.name in often}
    return st.fixed_dictionaries(
        present, optional={f.name: fields_of(f) for f in descriptor.fields if f.name not in often}
    )


def as_value(value: Any) -> Any:
    wrapped = struct_pb2.ListValue()
    wrapped.extend([value])
    return wrapped.values[0]


def request_of(name: str, fields: dict[str, Any]) -> Message:
    module = next(m for m in MODULES.values() if hasattr(m, f"{name}Request"))
    message: Message = getattr(module, f"{name}Request")(**fields)
    return message


async def ask(clarion: Clarion, name: str, request: Message) -> None:
    stubs = (
        clarion.campaigns,
        clarion.configurations,
        clarion.deliveries,
        clarion.suppressions,
        clarion.triggers,
        clarion.workers,
    )
    stub = next(s for s in stubs if hasattr(s, name))
    call = getattr(stub, name)(request)
    try:
        await (call if METHODS[name].server_streaming is False else call.read())
    except grpc.aio.AioRpcError as error:
        pytest.fail(f"{name} {request}") if refusal_of(error).reason == "INTERNAL" else None
    finally:
        call.cancel()


@pytest.mark.parametrize("name", METHODS)
async def test_no_request_is_a_defect(clarion: Clarion, name: str) -> None:
    fields = [{"name": "city", "type": "TYPE_STRING"}, {"name": "y", "type": "TYPE_LIST"}]
    await clarion.live_campaign(context=fields)
    await clarion.trigger(recipients=[a_recipient()])
    found: list[Message] = []

    @settings(max_examples=EXAMPLES, phases=[Phase.generate], deadline=None, database=None)
    @given(messages(METHODS[name].input_type))
    def collect(values: dict[str, Any]) -> None:
        found.append(request_of(name, values))

    collect()
    await asyncio.gather(*(ask(clarion, name, request) for request in found))
