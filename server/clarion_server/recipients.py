"""What can be known to be wrong with a recipient before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from clarion_core.addresses import check_email
from clarion_core.devices import check_device
from clarion_core.domain.campaign import Campaign, Definition
from clarion_core.domain.context import ContextSchema
from clarion_core.domain.errors import FieldProblem
from clarion_core.domain.medium import Channel
from clarion_core.domain.owed import owed
from clarion_core.domain.recipient import Device, Recipient
from clarion_core.telephone import check_number
from clarion_core.urls import read_url

_CHECKS: Mapping[Channel, Callable[[str], object]] = {
    Channel.EMAIL: check_email,
    Channel.SMS: check_number,
    Channel.WEBHOOK: read_url,
}
_NEEDED = {
    Channel.EMAIL: ("addresses.email", "is required: the campaign sends an e-mail"),
    Channel.SMS: ("addresses.sms", "is required: the campaign sends a text message; give a number like +4915112345678"),
    Channel.PUSH: ("devices", "is required: the campaign sends a notification; give a device at least"),
    Channel.WEBHOOK: (
        "addresses.webhook",
        "is required: the campaign calls an endpoint; give its address, like https://api.example.com/hooks",
    ),
}


def recipient_problems(
    campaign: Campaign, schema: ContextSchema, shared: dict[str, object], recipient: Recipient, path: str
) -> list[FieldProblem]:
    """Everything that can be known to be wrong with a recipient before sending."""
    problems = schema.problems(recipient.context, f"{path}.context") if recipient.context else []
    problems += schema.missing(shared, recipient.context, f"{path}.context")
    problems += _address_problems(campaign.definition, recipient, path)
    return problems


def unreached(channels: list[Channel], path: str) -> FieldProblem:
    """Says that a recipient has no address for any of these channels."""
    if len(channels) == 1:
        field, description = _NEEDED[channels[0]]
        return FieldProblem(path=f"{path}.{field}", description=description)
    places = ", ".join(_NEEDED[channel][0] for channel in channels)
    return FieldProblem(
        path=f"{path}.addresses", description=f"none is given for the campaign: fill in one of {places}"
    )


def _address_problems(definition: Definition, recipient: Recipient, path: str) -> Iterator[FieldProblem]:
    channels = list(definition.contents)
    if channels and not owed(definition, recipient):
        yield unreached(channels, path)
    for channel in channels:
        if channel is Channel.PUSH:
            yield from _device_problems(recipient, path)
        elif address := recipient.addresses.get(channel.value):
            try:
                _CHECKS[channel](address)
            except ValueError as error:
                yield FieldProblem(path=f"{path}.addresses.{channel.value}", description=str(error))


def _device_problems(recipient: Recipient, path: str) -> Iterator[FieldProblem]:
    seen: dict[Device, int] = {}
    for index, device in enumerate(recipient.devices):
        if (first := seen.setdefault(device, index)) != index:
            yield FieldProblem(
                path=f"{path}.devices[{index}].token", description=f"is the token of devices[{first}] too"
            )
            continue
        try:
            check_device(device)
        except ValueError as error:
            yield FieldProblem(path=f"{path}.devices[{index}].token", description=str(error))
