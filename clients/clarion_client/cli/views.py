"""How resources look to people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from google.protobuf.json_format import MessageToJson
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from clarion.v1.campaign_pb2 import Campaign, Content, ContextField
from clarion.v1.delivery_pb2 import Delivery, FeedbackCounts
from clarion.v1.trigger_pb2 import DeliveryCounts, RecipientRefusal, Trigger
from clarion_client.cli.output import grid, listing
from clarion_client.cli.times import span_text
from clarion_client.names import short_name

REFUSALS_SHOWN = 20
COUNTS = ("in_flight", "sent", "failed", "suppressed", "expired", "cancelled", "ambiguous")
_COLOURS = {
    "LIVE": "green",
    "WORKING": "green",
    "CLAIMED": "cyan",
    "DRAINING": "yellow",
    "PARKED": "yellow",
    "SILENT": "red",
    "STUCK": "red",
    "RUNNING": "cyan",
    "COMPLETED": "green",
    "SENT": "green",
    "PAUSED": "yellow",
    "RETRYING": "yellow",
    "AMBIGUOUS": "magenta",
    "FAILED": "red",
    "STOPPED": "red",
    "CANCELLED": "dim",
    "EXPIRED": "dim",
    "SUPPRESSED": "dim",
    "DRAFT": "dim",
    "DELIVERED": "green",
    "DEFERRED": "yellow",
    "BOUNCED": "red",
    "COMPLAINED": "red",
}


class Enum(Protocol):
    """A generated enum."""

    def items(self) -> Iterable[tuple[str, int]]:
        """Names and numbers."""


def word(enum: Enum, number: int) -> str:
    """The name of an enum value without the enum's prefix; an unknown one as its number."""
    names = {value: name for name, value in enum.items()}
    prefix = names[0].removesuffix("UNSPECIFIED")
    return "" if number == 0 else names.get(number, str(number)).removeprefix(prefix)


def state(name: str) -> Text:
    """A state in its colour."""
    return Text(name, _COLOURS.get(name, ""))


def when(time: Timestamp) -> str:
    """Local time: the time of day for today, else with the day; empty where unset."""
    if not time.ByteSize():
        return ""
    local = datetime.fromtimestamp(time.ToSeconds()).astimezone()
    now = datetime.now().astimezone()
    if local.date() == now.date():
        return local.strftime("%H:%M:%S")
    return local.strftime("%d %b %H:%M" if local.year == now.year else "%d %b %Y")


def counts_text(counts: DeliveryCounts | Campaign.Counts) -> Text:
    """The account in one line: what was accepted, and every part of it that is not zero."""
    text = Text(f"accepted {counts.accepted:,}")
    parts = [(name, getattr(counts, name)) for name in (*COUNTS, "refused") if hasattr(counts, name)]
    for name, number in parts:
        if number:
            colour = "red" if name == "refused" else _COLOURS.get(name.upper(), "cyan")
            text.append(" · ", "dim").append(f"{name.replace('_', ' ')} {number:,}", colour)
    return text


def feedback_text(counts: FeedbackCounts) -> Text:
    """What was heard of messages after they were sent; empty where nothing was."""
    heard = [(name, getattr(counts, name)) for name in ("delivered", "bounced", "complained")]
    parts = [Text(f"{name} {number:,}", _COLOURS[name.upper()]) for name, number in heard if number]
    return Text(" · ", "dim").join(parts)


def bounce_text(bounce: Delivery.Bounce) -> str:
    """Why a message came back: `hard, invalid recipient`."""
    kind = word(Delivery.Bounce.Type, bounce.type).lower()
    return f"{kind}, {word(Delivery.Bounce.Category, bounce.category).replace('_', ' ').lower()}"


def fact_text(fact: Delivery.Fact) -> Text:
    """One fact in a line: what, why and who says so."""
    text = state(word(Delivery.Fact.Kind, fact.kind))
    if fact.HasField("bounce"):
        text.append(f" {bounce_text(fact.bounce)}", "dim")
    text.append(f"  {fact.code}" if fact.code else "", "default")
    return text.append(f"  says {fact.provider}" if fact.provider else "", "dim")


def campaign_list(campaigns: Sequence[Campaign]) -> Table:
    """One campaign a line."""
    table = listing("CAMPAIGN", "STATE", "CATEGORY", "REV", "UPDATED", "NAME", right=("REV",))
    for each in campaigns:
        table.add_row(
            short_name(each.name),
            state(word(Campaign.State, each.state)),
            word(Campaign.Category, each.category).lower(),
            str(each.revision),
            when(each.update_time),
            each.display_name,
        )
    return table


def campaign(each: Campaign) -> RenderableType:
    """One campaign: what it is, what it declares, what became of its deliveries."""
    return grid(_campaign_rows(each))


def _campaign_rows(each: Campaign) -> Iterator[tuple[str, RenderableType]]:
    yield "campaign", Text(short_name(each.name), "bold")
    yield "state", state(word(Campaign.State, each.state))
    if each.display_name:
        yield "name", each.display_name
    if each.description:
        yield "about", each.description
    yield "category", word(Campaign.Category, each.category).lower()
    policy = word(Campaign.AmbiguityPolicy, each.ambiguity_policy)
    if policy:
        yield "if unsure", policy.lower()
    if each.HasField("retry_policy"):
        retries = each.retry_policy
        yield "attempts", f"{retries.max_attempts} at most, within {span_text(retries.max_age_s)}"
    if each.time_to_live_s:
        yield "time to live", span_text(each.time_to_live_s)
    if each.HasField("throttle"):
        burst = f", bursts of {each.throttle.burst:,}" if each.throttle.burst else ""
        yield "throttle", f"{each.throttle.rate_per_s:,g} a second{burst}"
    yield "revision", f"{each.revision}, updated {when(each.update_time)}"
    for index, content in enumerate(each.contents):
        yield "" if index else "contents", _content(content)
    for index, field in enumerate(each.context):
        yield "" if index else "context", _declared(field)
    if each.HasField("counts"):
        yield "deliveries", counts_text(each.counts)
    if heard := feedback_text(each.feedback):
        yield "feedback", heard
    yield "etag", each.etag


def _content(content: Content) -> Text:
    channel = content.WhichOneof("kind") or ""
    text = Text(channel)
    if sender := getattr(content.email, "from") or content.sms.sender:
        text.append(f" from {sender}")
    if content.push.silent:
        text.append(", silent")
    if content.webhook.url:
        text.append(f" to {content.webhook.url}")
    return text.append(f" through {content.channel_configuration}" if content.channel_configuration else "", "dim")


def _declared(field: ContextField) -> Text:
    text = Text(field.name, "bold").append(f" {word(ContextField.Type, field.type).lower().replace('_', '-')}")
    if field.required:
        text.append(" required", "yellow")
    if field.HasField("default"):
        default = MessageToJson(field.default, indent=None, ensure_ascii=False).removesuffix(".0")
        text.append(f" = {default if len(default) <= 40 else default[:39] + '…'}")
    return text.append(f"  {field.description}", "dim") if field.description else text


def trigger_list(triggers: Sequence[Trigger]) -> Table:
    """One trigger a line."""
    columns = ("TRIGGER", "STATE", "ACCEPTED", "SENT", "FAILED", "REFUSED", "CREATED", "FINISHED")
    table = listing(*columns, right=columns[2:6])
    for each in triggers:
        counts = each.counts
        table.add_row(
            short_name(each.name),
            state(word(Trigger.State, each.state)),
            *(f"{n:,}" for n in (counts.accepted, counts.sent, counts.failed, counts.refused)),
            when(each.create_time),
            when(each.finish_time),
        )
    return table


def trigger(each: Trigger, *, replayed: bool = False) -> Table:
    """One trigger: its account, and who was refused. `replayed`: it is an earlier call's."""
    rows: list[tuple[str, RenderableType]] = [
        ("trigger", Text(short_name(each.name), "bold")),
        ("state", state(word(Trigger.State, each.state))),
        ("revision", str(each.campaign_revision)),
        ("deliveries", counts_text(each.counts)),
        ("created", when(each.create_time)),
    ]
    if replayed:
        rows.insert(
            1, ("replayed", Text("an earlier call with this request id triggered it, as it was then", "yellow"))
        )
    if heard := feedback_text(each.feedback):
        rows.append(("feedback", heard))
    if each.HasField("finish_time"):
        rows.append(("finished", when(each.finish_time)))
    return grid([*rows, *_terms(each), *_refusals(each)])


def checked(each: Trigger) -> Table:
    """What a trigger that was only checked would accept, and whom it would refuse."""
    rows: list[tuple[str, RenderableType]] = [
        ("checked", Text("nothing is triggered", "bold")),
        ("revision", str(each.campaign_revision)),
        ("would accept", f"{each.counts.accepted:,}"),
        ("would refuse", f"{each.counts.refused:,}"),
    ]
    return grid([*rows, *_terms(each), *_refusals(each)])


def _terms(each: Trigger) -> Iterator[tuple[str, RenderableType]]:
    if each.HasField("expire_time"):
        yield "expires", when(each.expire_time)
    if each.ordering_key:
        yield "ordering key", each.ordering_key


def _refusals(each: Trigger) -> Iterator[tuple[str, RenderableType]]:
    for index, refusal in enumerate(each.refusals[:REFUSALS_SHOWN]):
        yield "" if index else "refused", _refusal(refusal)
    if len(each.refusals) > REFUSALS_SHOWN:
        yield "", f"and {len(each.refusals) - REFUSALS_SHOWN} more: --output json shows all"


def _refusal(refusal: RecipientRefusal) -> Text:
    problems = "; ".join(f"{each.field}: {each.description}" for each in refusal.violations)
    return Text(refusal.user_id, "bold").append(f"  {problems}", "red")


def delivery_list(deliveries: Sequence[Delivery]) -> Table:
    """One delivery a line, under the name that `clarion deliveries get` takes."""
    table = listing("DELIVERY", "USER", "STATE", "REASON", "ATTEMPTS", "UPDATED", "DETAIL", right=("ATTEMPTS",))
    for each in deliveries:
        table.add_row(
            short_name(each.name),
            each.user_id,
            state(word(Delivery.State, each.state)),
            word(Delivery.Reason, each.reason).lower(),
            _attempts(each),
            when(each.update_time),
            each.detail,
        )
    return table


def dead_letter_list(dead: Sequence[Delivery]) -> Table:
    """One dead letter a line, under the name that `--delivery` takes."""
    table = listing(
        "DELIVERY", "USER", "STATE", "REASON", "PROVIDER", "ATTEMPTS", "ENDED", "DETAIL", right=("ATTEMPTS",)
    )
    for each in dead:
        table.add_row(
            short_name(each.name),
            each.user_id,
            state(word(Delivery.State, each.state)),
            word(Delivery.Reason, each.reason).lower(),
            each.provider,
            _attempts(each),
            when(each.update_time),
            each.detail,
        )
    return table


def delivery(each: Delivery) -> RenderableType:
    """One delivery: where it stands and why."""
    rows: list[tuple[str, RenderableType]] = [
        ("delivery", Text(short_name(each.name), "bold")),
        ("user", each.user_id),
        ("channel", each.channel),
        ("state", state(word(Delivery.State, each.state))),
        ("reason", word(Delivery.Reason, each.reason).lower()),
        ("detail", each.detail),
        ("provider", each.provider),
        ("attempts", _attempts(each)),
        ("accepted", when(each.create_time)),
        ("redriven", when(each.redrive_time)),
        ("updated", when(each.update_time)),
        ("next try", when(each.next_attempt_time)),
        ("discarded", _discarded(each)),
        ("message id", each.message_id),
        ("provider's id", each.provider_message_id),
    ]
    return grid([*((label, value) for label, value in rows if value), *_facts(each)])


def _facts(each: Delivery) -> Iterator[tuple[str, RenderableType]]:
    for index, fact in enumerate(each.facts):
        text = Text(f"{when(fact.time)}  ", "dim").append_text(fact_text(fact))
        yield "" if index else "facts", text.append(f"  {fact.detail}" if fact.detail else "", "dim")


def _discarded(each: Delivery) -> str:
    return f"{when(each.discard_time)}, because: {each.discard_reason}" if each.HasField("discard_time") else ""


def _attempts(each: Delivery) -> str:
    unsure = f" ({each.ambiguous_attempts} unsure)" if each.ambiguous_attempts else ""
    return f"{each.attempts}{unsure}"
