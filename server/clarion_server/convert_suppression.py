"""Suppressions and allow lists between the contract and the domain."""

from __future__ import annotations

import time
from collections.abc import Iterable

from clarion.v1 import suppression_pb2 as pb
from clarion.v1 import trigger_pb2
from clarion_core.domain.errors import FieldProblem, InvalidRequest
from clarion_core.domain.medium import Channel
from clarion_core.domain.suppression import REASONS, Entry, SuppressionReason, Target, TargetKind, Verdict, ajo_code
from clarion_core.store.suppressions import Added, AllowListState
from clarion_core.targets import check_target
from clarion_server import convert_trigger
from clarion_server.convert_trigger import milliseconds, timestamp

Result = pb.EntryVerdict
SUPPRESSION_REASONS = {reason: pb.Suppression.Reason.Value(f"REASON_{reason.name}") for reason in SuppressionReason}
_REASONS = {number: reason for reason, number in SUPPRESSION_REASONS.items()}
ADDED = {
    Added.ADDED: Result.RESULT_ADDED,
    Added.UPDATED: Result.RESULT_UPDATED,
    Added.KEPT: Result.RESULT_KEPT,
}
_SOURCE = "api"  # of what names none


def to_reasons(numbers: Iterable[pb.Suppression.Reason.ValueType]) -> frozenset[SuppressionReason]:
    """Reasons as a request names them."""
    return frozenset(_REASONS[number] for number in numbers)


def to_target(proto: pb.ListTarget, path: str) -> Target:
    """What an entry names, in the form that is compared. `InvalidRequest` at `path` where it can't be right."""
    kind = TargetKind.DOMAIN if proto.WhichOneof("kind") == "domain" else TargetKind.ADDRESS
    text = proto.domain if kind is TargetKind.DOMAIN else proto.address
    try:
        return check_target(Channel(proto.channel), kind, text)
    except ValueError as error:
        raise InvalidRequest.of([FieldProblem(path=f"{path}.{kind.value.lower()}", description=str(error))]) from None


def to_entry(proto: pb.Suppression | pb.AllowedEntry, path: str) -> Entry:
    """An entry as a caller wrote it. `InvalidRequest` with paths under `path` where it can't be right."""
    expire_ms = milliseconds(proto.expire_time, f"{path}.expire_time") if proto.HasField("expire_time") else 0
    if expire_ms and expire_ms <= 1000 * time.time():
        raise InvalidRequest.of([FieldProblem(path=f"{path}.expire_time", description="must be in the future")])
    reason = None
    if isinstance(proto, pb.Suppression):
        reason = _REASONS.get(proto.reason, SuppressionReason.MANUAL)
    return Entry(
        target=to_target(proto.target, f"{path}.target"),
        reason=reason,
        source=proto.source or _SOURCE,
        comment=proto.comment,
        expire_ms=expire_ms,
    )


def from_suppression(channel: Channel, entry: Entry) -> pb.Suppression:
    """A suppression as the contract shows it."""
    assert entry.reason is not None  # it is a suppression's
    return pb.Suppression(
        target=_from_target(channel, entry.target),
        reason=SUPPRESSION_REASONS[entry.reason],
        source=entry.source,
        comment=entry.comment,
        create_time=timestamp(entry.create_ms),
        expire_time=timestamp(entry.expire_ms),
    )


def from_allowed(channel: Channel, entry: Entry) -> pb.AllowedEntry:
    """An entry of an allow list as the contract shows it."""
    return pb.AllowedEntry(
        target=_from_target(channel, entry.target),
        source=entry.source,
        comment=entry.comment,
        create_time=timestamp(entry.create_ms),
        expire_time=timestamp(entry.expire_ms),
    )


def from_allow_list(channel: Channel, state: AllowListState) -> pb.AllowList:
    """An allow list as the contract shows it."""
    return pb.AllowList(channel=channel.value, active=state.active, entries=state.entries)


def from_refusal(error: InvalidRequest) -> pb.EntryVerdict:
    """The verdict on an item that can't be right."""
    violations = [trigger_pb2.FieldViolation(field=each.path, description=each.description) for each in error.problems]
    return pb.EntryVerdict(result=Result.RESULT_REFUSED, violations=violations)


def from_verdict(channel: Channel, address: str, verdict: Verdict) -> pb.AddressVerdict:
    """Whether an address would be sent to, as the contract shows it."""
    if verdict.may:
        return pb.AddressVerdict(address=address, may_receive=True)
    reason = REASONS[verdict.kind]
    return pb.AddressVerdict(
        address=address,
        reason=convert_trigger.REASONS[reason],
        suppression=from_suppression(channel, verdict.by) if verdict.by else None,
        ajo_code=ajo_code(reason, channel),
    )


def _from_target(channel: Channel, target: Target) -> pb.ListTarget:
    if target.kind is TargetKind.DOMAIN:
        return pb.ListTarget(channel=channel.value, domain=target.value)
    return pb.ListTarget(channel=channel.value, address=target.value)
