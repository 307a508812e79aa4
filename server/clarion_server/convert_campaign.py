"""Campaigns between the contract and the domain."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from google.protobuf.message import Message

from clarion.v1 import campaign_pb2
from clarion_core.domain.campaign import (
    AmbiguityPolicy,
    Campaign,
    CampaignState,
    Category,
    ContextField,
    Definition,
    FieldType,
    RetryPolicy,
    Throttle,
)
from clarion_core.domain.errors import FieldProblem, InvalidRequest
from clarion_core.domain.feedback import FeedbackCounts
from clarion_core.domain.files import described
from clarion_core.domain.trigger import Counts
from clarion_server.convert_content import from_contents, to_contents
from clarion_server.convert_feedback import from_feedback
from clarion_server.convert_trigger import timestamp
from clarion_server.values import from_value, to_value

Proto = campaign_pb2.Campaign

STATES = {
    CampaignState.DRAFT: Proto.STATE_DRAFT,
    CampaignState.LIVE: Proto.STATE_LIVE,
    CampaignState.PAUSED: Proto.STATE_PAUSED,
    CampaignState.STOPPED: Proto.STATE_STOPPED,
}
CATEGORIES = {
    Category.URGENT: Proto.CATEGORY_URGENT,
    Category.TRANSACTIONAL: Proto.CATEGORY_TRANSACTIONAL,
    Category.MARKETING: Proto.CATEGORY_MARKETING,
}
POLICIES = {
    AmbiguityPolicy.AT_LEAST_ONCE: Proto.AMBIGUITY_POLICY_AT_LEAST_ONCE,
    AmbiguityPolicy.AT_MOST_ONCE: Proto.AMBIGUITY_POLICY_AT_MOST_ONCE,
}
TYPES = {
    FieldType.STRING: campaign_pb2.ContextField.TYPE_STRING,
    FieldType.NUMBER: campaign_pb2.ContextField.TYPE_NUMBER,
    FieldType.BOOLEAN: campaign_pb2.ContextField.TYPE_BOOLEAN,
    FieldType.DATE_TIME: campaign_pb2.ContextField.TYPE_DATE_TIME,
    FieldType.LIST: campaign_pb2.ContextField.TYPE_LIST,
    FieldType.OBJECT: campaign_pb2.ContextField.TYPE_OBJECT,
}
_CATEGORIES = {number: value for value, number in CATEGORIES.items()}
_POLICIES = {number: value for value, number in POLICIES.items()}
_TYPES = {number: value for value, number in TYPES.items()}

# The fields a caller can set, with what they become in a definition.
_SETTERS: dict[str, Callable[[Proto], dict[str, object]]] = {
    "display_name": lambda proto: {"display_name": proto.display_name},
    "description": lambda proto: {"description": proto.description},
    "category": lambda proto: {"category": _CATEGORIES.get(proto.category, Category.TRANSACTIONAL)},
    "ambiguity_policy": lambda proto: {"ambiguity_policy": _POLICIES.get(proto.ambiguity_policy)},
    "context": lambda proto: {"context": tuple(_field(field) for field in proto.context)},
    "contents": lambda proto: to_contents(proto.contents),
    "retry_policy": lambda proto: {"retry_policy": _retry_policy(proto.retry_policy)},
    "time_to_live_s": lambda proto: {"time_to_live_s": proto.time_to_live_s},
    "throttle": lambda proto: {"throttle": Throttle(rate_per_s=proto.throttle.rate_per_s, burst=proto.throttle.burst)},
}


def to_definition(proto: Proto) -> Definition:
    """What a campaign says, as a caller wrote it."""
    return changed(Definition(), proto, list(_SETTERS))


def mask_of(proto: Proto, paths: Iterable[str]) -> list[str]:
    """The fields an update changes: the mask's, all for `*`, those that are set where it names none."""
    asked = list(paths)
    if not asked:
        return [field.name for field, _ in proto.ListFields() if field.name in _SETTERS]
    if asked == ["*"]:
        return list(_SETTERS)
    known = ", ".join(_SETTERS)
    wrong = [
        FieldProblem(path="update_mask", description=f"'{path}' can't be updated; one can update {known}, or *")
        for path in asked
        if path not in _SETTERS
    ]
    if wrong:
        raise InvalidRequest.of(wrong)
    return asked


def changed(definition: Definition, proto: Proto, paths: Iterable[str]) -> Definition:
    """The definition with these fields as the message has them."""
    values: dict[str, object] = {}
    for path in paths:
        values |= _SETTERS[path](proto)
    return replace(definition, **values)  # type: ignore[arg-type]  # the setters give each field its type


def from_campaign(
    campaign: Campaign,
    counts: Counts | None = None,
    feedback: FeedbackCounts | None = None,
    *,
    include_files: bool = False,
) -> Proto:
    """A campaign as the contract shows it: its files without their data unless they are asked for."""
    definition = campaign.definition if include_files else described(campaign.definition)
    policy = definition.ambiguity_policy
    proto = Proto(
        name=campaign.name,
        display_name=definition.display_name,
        description=definition.description,
        category=CATEGORIES[definition.category],
        ambiguity_policy=POLICIES[policy] if policy else Proto.AMBIGUITY_POLICY_UNSPECIFIED,
        context=[_from_field(field) for field in definition.context],
        contents=from_contents(definition),
        retry_policy=campaign_pb2.RetryPolicy(
            max_attempts=definition.retry_policy.max_attempts,
            initial_backoff_s=definition.retry_policy.initial_backoff_s,
            max_backoff_s=definition.retry_policy.max_backoff_s,
            max_age_s=definition.retry_policy.max_age_s,
        ),
        time_to_live_s=definition.time_to_live_s,
        throttle=_from_throttle(definition.throttle),
        state=STATES[campaign.state],
        revision=campaign.revision,
        etag=campaign.etag,
        create_time=timestamp(campaign.create_ms),
        update_time=timestamp(campaign.update_ms),
    )
    if counts:
        fill_counts(proto.counts, counts)
    if feedback:
        proto.feedback.CopyFrom(from_feedback(feedback))
    return proto


def _from_throttle(throttle: Throttle) -> campaign_pb2.ThrottlePolicy | None:
    if not throttle.rate_per_s:
        return None
    return campaign_pb2.ThrottlePolicy(rate_per_s=throttle.rate_per_s, burst=throttle.burst)


def fill_counts(proto: Message, counts: Counts) -> None:
    """Write an account into one of the contract's count messages."""
    for name in counts.__dataclass_fields__:
        setattr(proto, name, getattr(counts, name))


def _field(proto: campaign_pb2.ContextField) -> ContextField:
    return ContextField(
        name=proto.name,
        type=_TYPES[proto.type],
        required=proto.required,
        has_default=proto.HasField("default"),
        default=from_value(proto.default) if proto.HasField("default") else None,
        description=proto.description,
    )


def _from_field(field: ContextField) -> campaign_pb2.ContextField:
    return campaign_pb2.ContextField(
        name=field.name,
        type=TYPES[field.type],
        required=field.required,
        default=to_value(field.default) if field.has_default else None,
        description=field.description,
    )


def _retry_policy(proto: campaign_pb2.RetryPolicy) -> RetryPolicy:
    default = RetryPolicy()
    return RetryPolicy(
        max_attempts=proto.max_attempts or default.max_attempts,
        initial_backoff_s=proto.initial_backoff_s or default.initial_backoff_s,
        max_backoff_s=proto.max_backoff_s or default.max_backoff_s,
        max_age_s=proto.max_age_s or default.max_age_s,
    )
