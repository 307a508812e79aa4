"""What is heard of messages, between the domain and the contract."""

from __future__ import annotations

from google.protobuf import timestamp_pb2

from clarion.v1 import delivery_pb2
from clarion_core.domain.bounce import AJO_CODES, BounceCategory, BounceType
from clarion_core.domain.feedback import Fact, FactKind, FeedbackCounts

Delivery = delivery_pb2.Delivery

KINDS = {kind: Delivery.Fact.Kind.Value(f"KIND_{kind.name}") for kind in FactKind}
BOUNCE_TYPES = {each: Delivery.Bounce.Type.Value(f"TYPE_{each.name}") for each in BounceType}
CATEGORIES = {each: Delivery.Bounce.Category.Value(f"CATEGORY_{each.name}") for each in BounceCategory}


def from_fact(fact: Fact) -> delivery_pb2.Delivery.Fact:
    """A fact as the contract shows it."""
    return Delivery.Fact(
        kind=KINDS[fact.kind],
        time=timestamp_pb2.Timestamp(seconds=fact.time_ms // 1000, nanos=fact.time_ms % 1000 * 1_000_000),
        provider=fact.provider,
        bounce=_bounce(fact),
        code=fact.code,
        detail=fact.detail,
    )


def _bounce(fact: Fact) -> delivery_pb2.Delivery.Bounce | None:
    if not (fact.category and fact.bounce_type):
        return None
    return Delivery.Bounce(
        type=BOUNCE_TYPES[fact.bounce_type],
        category=CATEGORIES[fact.category],
        ajo_code=AJO_CODES[fact.category],
    )


def from_feedback(counts: FeedbackCounts) -> delivery_pb2.FeedbackCounts:
    """Feedback counts as the contract shows them."""
    return delivery_pb2.FeedbackCounts(delivered=counts.delivered, bounced=counts.bounced, complained=counts.complained)
