"""The campaign: what it says, what it declares, and the states it goes through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from clarion_core.domain.content import Content, EmailContent, PushContent, SmsContent, WebhookContent
from clarion_core.domain.errors import CampaignStateError
from clarion_core.domain.medium import Channel

MIN_BACKOFF_S = 1  # a due time is a whole second of the store's clock, never the current one


class CampaignState(StrEnum):
    """Where a campaign stands; the value is the letter the gate keeps."""

    DRAFT = "D"
    LIVE = "L"
    PAUSED = "P"
    STOPPED = "S"


class Action(StrEnum):
    """What a caller can do to a campaign besides reading and updating it."""

    ACTIVATE = "activate"
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"


# (from, to) of each action; drawn in ARCHITECTURE.md, "A campaign's life".
TRANSITIONS: Mapping[Action, tuple[frozenset[CampaignState], CampaignState]] = {
    Action.ACTIVATE: (frozenset({CampaignState.DRAFT}), CampaignState.LIVE),
    Action.PAUSE: (frozenset({CampaignState.LIVE}), CampaignState.PAUSED),
    Action.RESUME: (frozenset({CampaignState.PAUSED}), CampaignState.LIVE),
    Action.STOP: (frozenset({CampaignState.LIVE, CampaignState.PAUSED}), CampaignState.STOPPED),
}
DELETABLE = frozenset({CampaignState.DRAFT, CampaignState.STOPPED})
UPDATABLE = frozenset({CampaignState.DRAFT, CampaignState.LIVE, CampaignState.PAUSED})


def names_of(states: frozenset[CampaignState]) -> list[str]:
    """The states' names in the order of a campaign's life."""
    return [state.name for state in CampaignState if state in states]


def after(action: Action, state: CampaignState, *, name: str) -> CampaignState:
    """The state after an action; `CampaignStateError` where the action is not allowed."""
    allowed, target = TRANSITIONS[action]
    if state not in allowed:
        raise CampaignStateError(name, action=action.value, state=state.name, allowed=names_of(allowed))
    return target


class Category(StrEnum):
    """What kind of message it is; the value is also the name of its lane."""

    URGENT = "urgent"
    TRANSACTIONAL = "transactional"
    MARKETING = "marketing"


LANES = tuple(category.value for category in Category)
"""The lanes, the most urgent first."""


class AmbiguityPolicy(StrEnum):
    """What happens to a delivery whose hand-over was cut off before the answer."""

    AT_LEAST_ONCE = "at_least_once"
    AT_MOST_ONCE = "at_most_once"


DEFAULT_AMBIGUITY: Mapping[Category, AmbiguityPolicy] = {
    Category.URGENT: AmbiguityPolicy.AT_LEAST_ONCE,
    Category.TRANSACTIONAL: AmbiguityPolicy.AT_LEAST_ONCE,
    Category.MARKETING: AmbiguityPolicy.AT_MOST_ONCE,
}


class FieldType(StrEnum):
    """What a context value must be."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE_TIME = "date-time"
    LIST = "list"
    OBJECT = "object"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextField:
    """One name a trigger may pass. `default` is a JSON value; `has_default` tells it from an absent one."""

    name: str
    type: FieldType
    required: bool = False
    has_default: bool = False
    default: object = None
    description: str = ""


HOUR_S = 3_600
# No shorter age gives a provider's restart, or a greylisting server, the time they need (Adobe Journey Optimizer's
# bounds: 10 minutes for messages somebody waits for, 6 hours for the others, 84 hours unless told otherwise).
MIN_RETRY_AGE_S: Mapping[Category, int] = {
    Category.URGENT: 600,
    Category.TRANSACTIONAL: 600,
    Category.MARKETING: 6 * HOUR_S,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How failed attempts are repeated: exponential backoff with full jitter, until the delivery is too old.

    `max_age_s` counts from acceptance, or from the redrive; no attempt is begun after it. With a `schedule_s`, its
    pauses are kept instead of the backoff, each give or take a tenth: the first after the first attempt, the last one
    again and again.
    """

    max_attempts: int = 100
    initial_backoff_s: int = 30
    max_backoff_s: int = 2 * HOUR_S
    max_age_s: int = 84 * HOUR_S
    schedule_s: tuple[int, ...] = ()

    def within(self, bounds: RetryPolicy) -> RetryPolicy:
        """The policy with nothing in it greater than in the other, and the other's schedule where it has one."""
        least = {f.name: min(getattr(self, f.name), getattr(bounds, f.name)) for f in fields(self)}
        return RetryPolicy(**least | {"schedule_s": bounds.schedule_s or self.schedule_s})


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """At most `rate_per_s` hand-overs a second and, after a lull, `burst` at once. Rate 0: no limit."""

    rate_per_s: float = 0.0
    burst: int = 0  # 0: a tenth of a second's worth, at least 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What a campaign says and declares: immutable, and pinned by every trigger as a revision.

    `order` is the channels in the order in which their contents were written, so that places can be named.
    """

    display_name: str = ""
    description: str = ""
    category: Category = Category.TRANSACTIONAL
    ambiguity_policy: AmbiguityPolicy | None = None
    context: tuple[ContextField, ...] = ()
    email: EmailContent | None = None
    sms: SmsContent | None = None
    push: PushContent | None = None
    webhook: WebhookContent | None = None
    order: tuple[Channel, ...] = ()
    retry_policy: RetryPolicy = RetryPolicy()
    time_to_live_s: int = 0  # 0: for ever
    throttle: Throttle = Throttle()

    @property
    def contents(self) -> Mapping[Channel, Content]:
        """What is said on each channel, in the order in which it was written."""
        found: Mapping[Channel, Content | None] = {
            Channel.EMAIL: self.email,
            Channel.SMS: self.sms,
            Channel.PUSH: self.push,
            Channel.WEBHOOK: self.webhook,
        }
        return {channel: content for channel in dict.fromkeys((*self.order, *found)) if (content := found[channel])}

    @property
    def channels(self) -> Mapping[Channel, str]:
        """The channels it has something to say on, each with the name of the channel configuration that is used."""
        return {channel: content.configuration or channel.value for channel, content in self.contents.items()}

    @property
    def ambiguity(self) -> AmbiguityPolicy:
        """The policy in force: the chosen one, or the category's."""
        return self.ambiguity_policy or DEFAULT_AMBIGUITY[self.category]

    @property
    def lane(self) -> str:
        """The queue its deliveries travel in."""
        return self.category.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """A stored campaign. `version` counts every change, states included; `revision` those of the definition."""

    workspace: str
    id: str
    state: CampaignState
    revision: int
    version: int
    create_ms: int
    update_ms: int
    definition: Definition

    @property
    def name(self) -> str:
        """The resource name."""
        return f"campaigns/{self.id}"

    @property
    def etag(self) -> str:
        """Identifies this version of the resource."""
        return f'"{self.version}"'

    @property
    def key(self) -> str:
        """The name that is unique over workspaces; what records of the store refer to."""
        return campaign_key(self.workspace, self.id)


def campaign_key(workspace: str, campaign_id: str) -> str:
    """`workspace/campaign`: unique over workspaces, since neither part may hold a slash."""
    return f"{workspace}/{campaign_id}"
