"""Everything that can be wrong, as one tree.

    ClarionError
    ├── Invalid                 the request can't be right           (InvalidRequest, TemplateInvalid,
    │                           ContextInvalid, RecipientsRefused, PageTokenInvalid)
    ├── NotFound                the name means nothing               (CampaignNotFound, TriggerNotFound,
    │                           DeliveryNotFound, WorkerNotFound, LaneNotFound, ThrottleNotFound,
    │                           ChannelConfigurationNotFound, ProviderNotFound)
    ├── AlreadyExists           the id is taken                      (CampaignExists, ChannelConfigurationExists,
    │                           RequestIdReused)
    ├── WrongState              the state forbids it                 (CampaignState, TriggerState,
    │                           ChannelConfigurationInUse)
    ├── Conflict                somebody else changed it             (EtagMismatch, ConcurrentChange)
    ├── HistoryTrimmed          the events are no longer kept
    ├── Exhausted               no room now                          (Overloaded, StoreFull)
    └── Unavailable             nobody can answer now                (StoreUnavailable, Draining, NoWorker)

`reason` is the name of the contract's `ErrorReason` without its prefix; `metadata` repeats what is variable in the
message. The server turns the tree into `google.rpc.Status` in one table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldProblem:
    """One thing wrong with one field: its path in the request, and what would be right."""

    path: str
    description: str


class ClarionError(Exception):
    """The base of all. `retry_after_s` is set where trying again later makes sense."""

    reason = "INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        problems: Sequence[FieldProblem] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = dict(metadata or {})
        self.problems = tuple(problems)
        self.retry_after_s = retry_after_s


class Invalid(ClarionError):
    """The request can't be right, whatever the state; `problems` names the fields."""

    reason = "INVALID_REQUEST"

    @classmethod
    def of(cls, problems: Sequence[FieldProblem], metadata: Mapping[str, str] | None = None) -> Invalid:
        """The error for these problems; its message is the first one and how many more there are."""
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return cls(f"{first.path}: {first.description}{more}", metadata=metadata, problems=problems)


class InvalidRequest(Invalid):
    """A rule of the contract is broken."""


class TemplateInvalid(Invalid):
    """A template does not compile or uses an undeclared name; `line` and `column` are in the metadata."""

    reason = "TEMPLATE_INVALID"


class ContextInvalid(Invalid):
    """A context does not fit what the campaign declares."""

    reason = "CONTEXT_INVALID"


class RecipientsRefused(Invalid):
    """No recipient could be accepted, or one could not and all were asked for."""

    reason = "RECIPIENTS_REFUSED"


class PageTokenInvalid(Invalid):
    """A page token that this method did not give for these arguments."""

    reason = "PAGE_TOKEN_INVALID"


class NotFound(ClarionError):
    """The name means nothing in this workspace. `resource` is the name that was asked for."""

    kind = ""

    def __init__(self, resource: str) -> None:
        super().__init__(f"{resource}: not found", metadata={self.kind: resource})
        self.resource = resource


class CampaignNotFound(NotFound):
    """No campaign of this name."""

    reason = "CAMPAIGN_NOT_FOUND"
    kind = "campaign"


class TriggerNotFound(NotFound):
    """No trigger of this name, or its lifetime is over."""

    reason = "TRIGGER_NOT_FOUND"
    kind = "trigger"


class DeliveryNotFound(NotFound):
    """No delivery of this name, or its lifetime is over."""

    reason = "DELIVERY_NOT_FOUND"
    kind = "delivery"


class WorkerNotFound(NotFound):
    """No worker of this name: it ended, or gave no sign of life for half a minute."""

    reason = "WORKER_NOT_FOUND"
    kind = "worker"


class LaneNotFound(NotFound):
    """No lane of this name."""

    reason = "LANE_NOT_FOUND"
    kind = "lane"


class ThrottleNotFound(NotFound):
    """Nothing was set for this name."""

    reason = "THROTTLE_NOT_FOUND"
    kind = "throttle"


class ChannelConfigurationNotFound(NotFound):
    """No channel configuration of this name, or none of this version."""

    reason = "CHANNEL_CONFIGURATION_NOT_FOUND"
    kind = "channel_configuration"


class ProviderNotFound(NotFound):
    """No channel configuration of this name, or it has no provider of this name."""

    reason = "PROVIDER_NOT_FOUND"
    kind = "provider"


class AlreadyExists(ClarionError):
    """The id is taken. `resource` is what holds it."""

    def __init__(self, message: str, *, resource: str, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message, metadata=metadata)
        self.resource = resource


class CampaignExists(AlreadyExists):
    """The campaign id is taken."""

    reason = "CAMPAIGN_EXISTS"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name}: exists already", resource=name, metadata={"campaign": name})


class ChannelConfigurationExists(AlreadyExists):
    """The channel configuration's id is taken."""

    reason = "CHANNEL_CONFIGURATION_EXISTS"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name}: already exists; choose another id or update it",
            resource=name,
            metadata={"channel_configuration": name},
        )


class RequestIdReused(AlreadyExists):
    """The request id was used before with another body."""

    reason = "REQUEST_ID_REUSED"

    def __init__(self, request_id: str, resource: str) -> None:
        super().__init__(
            f"request_id {request_id}: was used before with another body; send the same body or a new id",
            resource=resource,
            metadata={"request_id": request_id, "resource": resource},
        )


class WrongState(ClarionError):
    """The state forbids the call. `allowed` are the states in which it would be allowed."""

    def __init__(self, resource: str, *, action: str, state: str, allowed: Sequence[str]) -> None:
        wanted = " or ".join(allowed)
        super().__init__(
            f"{resource}: can't {action} while {state}; it must be {wanted}",
            metadata={"resource": resource, "state": state, "allowed": ",".join(allowed)},
        )
        self.resource, self.state, self.allowed = resource, state, tuple(allowed)


class CampaignStateError(WrongState):
    """The campaign's state forbids the call."""

    reason = "CAMPAIGN_STATE"


class TriggerStateError(WrongState):
    """The trigger's state forbids the call."""

    reason = "TRIGGER_STATE"


class ChannelConfigurationInUse(WrongState):
    """A campaign names the channel configuration."""

    reason = "CHANNEL_CONFIGURATION_IN_USE"

    def __init__(self, name: str, campaign: str) -> None:
        super().__init__(
            name, action="delete", state=f"named by {campaign}", allowed=["named by none, or by stopped ones"]
        )
        self.metadata["campaign"] = campaign


class Conflict(ClarionError):
    """Somebody else changed the resource: read it again, then decide."""


class EtagMismatch(Conflict):
    """The etag is not the current one."""

    reason = "ETAG_MISMATCH"

    def __init__(self, name: str, current: str) -> None:
        super().__init__(
            f"{name}: changed by somebody else, its etag is {current} now",
            metadata={"resource": name, "etag": current},
        )


class ConcurrentChange(Conflict):
    """The resource kept changing while the call ran; safe to repeat."""

    reason = "CONCURRENT_CHANGE"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name}: changed several times while the call ran; repeat it", metadata={"resource": name})


class HistoryTrimmed(ClarionError):
    """The watch token points to events that are no longer kept."""

    reason = "HISTORY_TRIMMED"

    def __init__(self, token: str) -> None:
        super().__init__(
            "resume_token: its events are no longer kept; watch again without a token",
            metadata={"resume_token": token},
        )


class Exhausted(ClarionError):
    """No room for new work now."""


class Overloaded(Exhausted):
    """The server has as much in hand as it may hold."""

    reason = "OVERLOADED"

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(
            f"the server has {limit} {what} in hand and takes no more now",
            metadata={"subject": what, "limit": str(limit)},
            retry_after_s=1.0,
        )


class StoreFull(Exhausted):
    """The store is nearly full; accepted work goes on."""

    reason = "STORE_FULL"

    def __init__(self, used: int, limit: int) -> None:
        held = f"the store holds {used} bytes of at most {limit}" if limit else "the store is full"
        super().__init__(
            f"{held}; new triggers are taken below 80 %",
            metadata={"subject": "store memory", "used_bytes": str(used), "limit_bytes": str(limit)},
            retry_after_s=10.0,
        )


class Unavailable(ClarionError):
    """Nobody can answer now; a call with a request id may be repeated blindly."""


class StoreUnavailable(Unavailable):
    """The store does not answer."""

    reason = "STORE_UNAVAILABLE"

    def __init__(self) -> None:
        super().__init__("the store does not answer; try again", retry_after_s=1.0)


class Draining(Unavailable):
    """The process is shutting down."""

    reason = "DRAINING"

    def __init__(self) -> None:
        super().__init__("the server is shutting down; another one answers", retry_after_s=0.5)


class NoWorker(Unavailable):
    """No worker took up what was asked of one."""

    reason = "NO_WORKER"

    def __init__(self, resource: str, waited_s: float) -> None:
        super().__init__(
            f"{resource}: no worker answered within {waited_s:g} seconds; see whether one runs (clarion workers list)",
            metadata={"resource": resource},
            retry_after_s=1.0,
        )
