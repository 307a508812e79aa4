"""How records are written: msgpack, positions instead of names, nothing that runs code when read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from clarion_core.domain.campaign import AmbiguityPolicy, Campaign, Definition
from clarion_core.domain.delivery import DeliveryRecord, DeliveryState, Reason
from clarion_core.domain.errors import FieldProblem
from clarion_core.domain.medium import Channel
from clarion_core.domain.recipient import Device, Recipient
from clarion_core.domain.trigger import Refusal

FINGERPRINT_VERSION = 1
# A delivery that nothing has happened to, as nearly all are that a worker claims.
_UNTOUCHED, _UNTOUCHED_RECORD = "Q|||||||||", DeliveryRecord()


class RecipientRow(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A recipient in a page's payload. Profile and context stay packed: nobody but templates looks into them."""

    user_id: str
    addresses: dict[str, str]
    locale: str
    profile: msgspec.Raw
    context: msgspec.Raw


class Head(msgspec.Struct, array_like=True, frozen=True):
    """What a trigger was accepted with; one a trigger, however many recipients. The context stays packed."""

    workspace: str
    campaign_id: str
    revision: int
    context: msgspec.Raw
    refusals: list[tuple[int, str, list[tuple[str, str]]]] = []
    ordering_key: str = ""

    def refused(self) -> tuple[Refusal, ...]:
        """The recipients that were not accepted."""
        return tuple(
            Refusal(index=index, user_id=user_id, problems=tuple(FieldProblem(path=p, description=d) for p, d in found))
            for index, user_id, found in self.refusals
        )


encode = msgspec.msgpack.Encoder().encode
decode_head = msgspec.msgpack.Decoder(Head).decode
decode_rows = msgspec.msgpack.Decoder(list[RecipientRow]).decode
decode_campaign = msgspec.msgpack.Decoder(Campaign).decode
decode_files = msgspec.msgpack.Decoder(dict[str, bytes]).decode
decode_definition = msgspec.msgpack.Decoder(Definition).decode
_canonical = msgspec.msgpack.Encoder(order="deterministic").encode


def encode_recipient(recipient: Recipient, device: Device | None = None) -> bytes:
    """A recipient as a segment holds it; canonical, so that it can be part of a fingerprint.

    Of the devices, the one that a delivery is for, as its address.
    """
    addresses = {**recipient.addresses, Channel.PUSH.value: device.token} if device else recipient.addresses
    return _canonical((recipient.user_id, addresses, recipient.locale, recipient.profile, recipient.context))


def encode_devices(recipient: Recipient) -> bytes:
    """A recipient's devices, to be part of a fingerprint."""
    return _canonical([(device.platform.value, device.token) for device in recipient.devices])


def refusal_rows(refusals: tuple[Refusal, ...]) -> list[tuple[int, str, list[tuple[str, str]]]]:
    """Refusals as a head holds them."""
    return [(r.index, r.user_id, [(p.path, p.description) for p in r.problems]) for r in refusals]


def fingerprint(values: object, rows: Iterable[bytes] = ()) -> str:
    """A versioned hash of canonical values: the same for the same request, whatever order its maps came in.

    `rows` are values that are encoded already.
    """
    digest = hashlib.sha256(_canonical(values))
    for row in rows:
        digest.update(row)
    return f"{FINGERPRINT_VERSION}:{digest.hexdigest()[:32]}"


def policy_code(definition: Definition) -> str:
    """What a batch must know to settle a take-over: the ambiguity policy and the attempts, `L8` or `M8`."""
    letter = "L" if definition.ambiguity is AmbiguityPolicy.AT_LEAST_ONCE else "M"
    return f"{letter}{definition.retry_policy.max_attempts}"


def parse_ledger(text: str) -> DeliveryRecord:
    """A ledger record, as the functions' `format` wrote it."""
    if text == _UNTOUCHED:
        return _UNTOUCHED_RECORD
    state, attempts, ambiguous, time, due, _batch, since, provider, reason, detail = text.split("|", 9)
    return DeliveryRecord(
        state=DeliveryState(state),
        attempts=int(attempts or 0),
        ambiguous_attempts=int(ambiguous or 0),
        time_ms=int(time or 0),
        due_ms=int(due or 0),
        since_ms=int(since or 0),
        provider=provider,
        reason=Reason(reason),
        detail=detail,
    )
