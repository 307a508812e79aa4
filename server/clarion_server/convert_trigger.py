"""Triggers, recipients and deliveries between the contract and the domain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from google.protobuf import timestamp_pb2

from clarion.v1 import delivery_pb2, trigger_pb2, trigger_service_pb2
from clarion_core.domain.delivery import DeliveryState, Reason
from clarion_core.domain.error_class import ERROR_CLASSES, RETRYABLE, ErrorClass
from clarion_core.domain.errors import FieldProblem, InvalidRequest
from clarion_core.domain.ids import medium_of
from clarion_core.domain.medium import Channel, Medium
from clarion_core.domain.recipient import Device, Recipient
from clarion_core.domain.trigger import Counts, Refusal, Trigger, TriggerEvent, TriggerState, trigger_name
from clarion_core.store.triggers import StoredDelivery
from clarion_core.telephone import plain_number
from clarion_server.convert_feedback import from_fact, from_feedback
from clarion_server.values import from_struct

Proto = trigger_pb2.Trigger
Delivery = delivery_pb2.Delivery

STATES = {
    TriggerState.RUNNING: Proto.STATE_RUNNING,
    TriggerState.CANCELLING: Proto.STATE_RUNNING,
    TriggerState.PAUSED: Proto.STATE_PAUSED,
    TriggerState.COMPLETED: Proto.STATE_COMPLETED,
    TriggerState.CANCELLED: Proto.STATE_CANCELLED,
}
DELIVERY_STATES = {state: Delivery.State.Value(f"STATE_{state.name}") for state in DeliveryState}
REASONS = {reason: Delivery.Reason.Value(f"REASON_{reason.value or 'UNSPECIFIED'}") for reason in Reason}
ERROR_CLASS_NUMBERS = {each: Delivery.ErrorClass.Value(f"ERROR_CLASS_{each.value}") for each in ErrorClass}
PLATFORMS = {
    Medium.FCM: trigger_pb2.Device.PLATFORM_FCM,
    Medium.APNS: trigger_pb2.Device.PLATFORM_APNS,
    Medium.WEB_PUSH: trigger_pb2.Device.PLATFORM_WEB,
}
_PLATFORMS = {number: medium for medium, number in PLATFORMS.items()}
_REASONS = {number: reason for reason, number in REASONS.items()}
_DELIVERY_STATES = {number: state for state, number in DELIVERY_STATES.items()}
_FIRST_S, _LAST_S = -62_135_596_800, 253_402_300_799  # what google.protobuf.Timestamp can be


def timestamp(ms: int) -> timestamp_pb2.Timestamp | None:
    """Milliseconds since 1970 as a Timestamp; none for 0."""
    return timestamp_pb2.Timestamp(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000) if ms else None


def milliseconds(time: timestamp_pb2.Timestamp, path: str) -> int:
    """A Timestamp as milliseconds since 1970, at least 1: an instant before that is as much over as any.

    `InvalidRequest` at `path` where it is outside of what a Timestamp may be.
    """
    if not (_FIRST_S <= time.seconds <= _LAST_S and 0 <= time.nanos < 1_000_000_000):
        description = "must be an instant of the years 1 to 9999, with nanos from 0 to 999,999,999"
        raise InvalidRequest.of([FieldProblem(path=path, description=description)])
    return max(1, time.seconds * 1000 + time.nanos // 1_000_000)


def to_recipient(proto: trigger_pb2.Recipient) -> Recipient:
    """A recipient as a caller wrote it."""
    return Recipient(
        user_id=proto.user_id,
        addresses=_addresses(proto.addresses),
        devices=tuple(Device(platform=_PLATFORMS[each.platform], token=each.token) for each in proto.devices),
        locale=proto.locale,
        profile=from_struct(proto.profile) if proto.HasField("profile") else {},
        context=from_struct(proto.context) if proto.HasField("context") else {},
    )


def _addresses(given: Mapping[str, str]) -> dict[str, str]:
    """Addresses as they are kept: numbers without what people put between their digits."""
    addresses = dict(given)
    if number := addresses.get(Channel.SMS):
        addresses[Channel.SMS.value] = plain_number(number)
    return addresses


def to_states(numbers: Iterable[delivery_pb2.Delivery.State.ValueType]) -> frozenset[DeliveryState]:
    """The delivery states of a filter."""
    return frozenset(_DELIVERY_STATES[number] for number in numbers)


def to_reasons(numbers: Iterable[delivery_pb2.Delivery.Reason.ValueType]) -> frozenset[Reason]:
    """The reasons of a filter."""
    return frozenset(_REASONS[number] for number in numbers)


def from_trigger(trigger: Trigger, *, refusals: bool = True) -> Proto:
    """A trigger as the contract shows it; nameless while it is not stored."""
    return Proto(
        name=trigger.name if trigger.id else "",
        campaign=f"campaigns/{trigger.campaign_id}",
        campaign_revision=trigger.revision,
        state=STATES[trigger.state],
        counts=from_counts(trigger.counts, len(trigger.refusals)),
        create_time=timestamp(trigger.create_ms),
        finish_time=timestamp(trigger.finish_ms),
        expire_time=timestamp(trigger.expire_ms),
        ordering_key=trigger.ordering_key,
        refusals=[_from_refusal(refusal) for refusal in trigger.refusals] if refusals else [],
        feedback=from_feedback(trigger.feedback),
    )


def from_counts(counts: Counts, refused: int) -> trigger_pb2.DeliveryCounts:
    """An account as the contract shows it."""
    return trigger_pb2.DeliveryCounts(
        accepted=counts.accepted,
        in_flight=counts.in_flight,
        sent=counts.sent,
        failed=counts.failed,
        suppressed=counts.suppressed,
        expired=counts.expired,
        cancelled=counts.cancelled,
        ambiguous=counts.ambiguous,
        refused=refused,
    )


def from_delivery(trigger: Trigger, stored: StoredDelivery, message_id_domain: str) -> Delivery:
    """A delivery as the contract shows it."""
    medium = medium_of(stored.id)
    record, error_class = stored.record, ERROR_CLASSES[stored.record.reason]
    return Delivery(
        name=f"{trigger.name}/deliveries/{stored.id}",
        user_id=stored.recipient.user_id,
        channel=medium.channel.value,
        state=DELIVERY_STATES[record.state],
        reason=REASONS[record.reason],
        detail=record.detail,
        attempts=record.attempts,
        ambiguous_attempts=record.ambiguous_attempts,
        create_time=timestamp(trigger.create_ms),
        update_time=timestamp(record.time_ms or trigger.create_ms),
        next_attempt_time=timestamp(record.due_ms),
        message_id=f"<{stored.id}@{message_id_domain}>" if medium is Medium.EMAIL else stored.id,
        provider=record.provider,
        redrive_time=timestamp(record.since_ms),
        discard_time=timestamp(stored.discard_ms),
        discard_reason=stored.discard_reason,
        error_class=ERROR_CLASS_NUMBERS[error_class] if error_class else Delivery.ERROR_CLASS_UNSPECIFIED,
        retryable=record.reason in RETRYABLE,
        provider_message_id=stored.provider_id,
        facts=[from_fact(fact) for fact in stored.facts],
    )


def from_event(event: TriggerEvent, campaign_id: str, refused: int) -> trigger_service_pb2.WatchTriggerResponse:
    """A group of moves as a step of a watch."""
    name = trigger_name(campaign_id, event.trigger)
    time = timestamp(event.time_ms)
    change = trigger_service_pb2.WatchTriggerResponse.Change(
        deliveries=[
            trigger_service_pb2.DeliveryChange(
                delivery=f"{name}/deliveries/{move.delivery}",
                state=DELIVERY_STATES[DeliveryState(move.state)],
                attempts=move.attempts,
                reason=REASONS[Reason(move.reason)],
                time=time,
                provider=move.provider,
                fact=from_fact(move.fact) if move.fact else None,
            )
            for move in event.moves
        ],
        counts=from_counts(event.counts, refused),
        state=STATES[event.state],
        feedback=from_feedback(event.feedback),
    )
    return trigger_service_pb2.WatchTriggerResponse(change=change, resume_token=event.id)


def _from_refusal(refusal: Refusal) -> trigger_pb2.RecipientRefusal:
    return trigger_pb2.RecipientRefusal(
        index=refusal.index,
        user_id=refusal.user_id,
        violations=[
            trigger_pb2.FieldViolation(field=problem.path, description=problem.description)
            for problem in refusal.problems
        ],
    )
