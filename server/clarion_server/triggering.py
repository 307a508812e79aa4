"""Triggers: may it run now, does everything fit, and then one step that makes it true."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from clarion_core.content.types import packed
from clarion_core.domain.campaign import Campaign, CampaignState, Definition
from clarion_core.domain.context import ContextSchema
from clarion_core.domain.errors import (
    CampaignStateError,
    ClarionError,
    ConcurrentChange,
    ContextInvalid,
    Exhausted,
    FieldProblem,
    InvalidRequest,
    RecipientsRefused,
    RequestIdReused,
    StoreFull,
    TriggerNotFound,
    TriggerStateError,
    Unavailable,
)
from clarion_core.domain.ids import derived_trigger_id, ordering_line, ordering_shard, random_trigger_id, shard_of
from clarion_core.domain.medium import Medium
from clarion_core.domain.owed import owed
from clarion_core.domain.recipient import Recipient
from clarion_core.domain.trigger import Refusal, Trigger, TriggerState, duplicate_user_ids, trigger_name
from clarion_core.store.accepting import AcceptItem, AcceptPart, Verdict
from clarion_core.store.campaigns import RequestKey
from clarion_core.store.records import (
    Head,
    encode,
    encode_devices,
    encode_recipient,
    fingerprint,
    policy_code,
    refusal_rows,
)
from clarion_core.store.triggers import StoredTrigger, TriggerStore, accepted_trigger
from clarion_server.catalogue import Catalogue, Known
from clarion_server.commit import Committer
from clarion_server.health import Readiness
from clarion_server.recipients import recipient_problems
from clarion_server.text import cut

# What a refusal tells at most: problems a recipient and a trigger, bytes a path. Callers choose names and numbers,
# and the answer has to stay below the 4 MiB that clients take.
MOST_PROBLEMS, MOST_IN_ALL, MOST_PATH = 20, 5_000, 200
TRIES = 3  # a campaign that changes more often than that while a call runs is a conflict


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerRequest:
    """A call to run a campaign, converted."""

    workspace: str
    campaign_id: str
    recipients: Sequence[Recipient]
    context: dict[str, object]
    request_id: str
    expire_ms: int  # since 1970; 0: never
    ordering_key: str
    all_or_nothing: bool
    validate_only: bool


class Triggers:
    """Creates, reads and cancels triggers. `committer_of` gives the committer of a shard and lane."""

    def __init__(
        self,
        *,
        store: TriggerStore,
        catalogue: Catalogue,
        committer_of: Callable[[int, str], Committer],
        readiness: Readiness,
        shards: int,
    ) -> None:
        self._store, self._catalogue, self._committer_of = store, catalogue, committer_of
        self._readiness, self._shards = readiness, shards

    async def create(self, request: TriggerRequest) -> tuple[Trigger, bool]:
        """Accept a trigger; True where an earlier call had done so already.

        What was answered to a request id is answered again, whatever the campaign looks like by now.
        """
        call = _Call(request, self._shards)
        fresh = request.validate_only  # nothing is written that would find out what is old
        for attempt in range(TRIES):
            try:
                known = await self._catalogue.get(request.workspace, request.campaign_id, fresh=fresh or attempt > 0)
                item, head = call.plan(known)
                if self._readiness.is_full:
                    raise StoreFull(self._readiness.used, self._readiness.limit)
                if request.validate_only:
                    return call.accepted(item, head, 0), False
                accepted = await self._committer_of(call.shard, item.lane).accept(item)
            except Unavailable:
                raise
            except ClarionError as error:
                if attempt == 0 and not isinstance(error, Exhausted):
                    continue  # what is known may be old: refuse on a fresh reading only
                if earlier := await self._earlier(call):
                    return earlier
                raise
            match accepted.verdict:
                case Verdict.CREATED:
                    return call.accepted(item, head, accepted.at_ms), False
                case Verdict.REPLAYED | Verdict.REUSED:
                    if earlier := await self._earlier(call):
                        return earlier
                case Verdict.GATE | Verdict.UNSTAGED:
                    continue
        raise ConcurrentChange(f"campaigns/{request.campaign_id}")

    async def _earlier(self, call: _Call) -> tuple[Trigger, bool] | None:
        """The first answer to the call's request id, if there was one."""
        if not call.request.request_id or call.request.validate_only:
            return None
        stored = await self._store.get(call.trigger_id)
        if stored is None:
            return None
        if stored.fingerprint != call.fingerprint:
            raise RequestIdReused(call.request.request_id, stored.trigger.name)
        first = stored.trigger
        return accepted_trigger(
            call.trigger_id, stored.head, first.counts.accepted, first.create_ms, first.expire_ms
        ), True

    async def get(self, workspace: str, campaign_id: str, trigger_id: str) -> StoredTrigger:
        """A trigger as it stands; `TriggerNotFound` also where it is another workspace's or campaign's."""
        stored = await self._store.get(trigger_id)
        if stored is None or stored.trigger.workspace != workspace or stored.trigger.campaign_id != campaign_id:
            raise TriggerNotFound(trigger_name(campaign_id, trigger_id))
        return stored

    async def page(self, campaign: str, before: tuple[int, str] | None, limit: int) -> tuple[list[Trigger], bool]:
        """Triggers of a campaign, the newest first, and whether there may be more."""
        found = await self._store.page(campaign, before, limit)
        return found, len(found) == limit

    async def cancel(self, workspace: str, campaign_id: str, trigger_id: str, request_id: str) -> tuple[Trigger, bool]:
        """Call a trigger off and read it again; True where an earlier call with the request id had done it."""
        trigger = (await self.get(workspace, campaign_id, trigger_id)).trigger
        request = RequestKey(
            id=request_id or str(uuid.uuid4()), fingerprint=fingerprint(("cancel", workspace, trigger_id))
        )
        repeated = bool(request_id) and await self._store.cancelled_by(trigger_id, workspace, request)
        if request_id and not (repeated or trigger.state.is_final):
            # Before the effect: a repeat of a call that was cut off in between goes on where it ended.
            await self._store.remember_cancel(trigger_id, workspace, request)
        before = await self._store.cancel(trigger_id) or trigger.state
        trigger = (await self.get(workspace, campaign_id, trigger_id)).trigger
        if before is TriggerState.CANCELLED and request_id:  # perhaps by a racing call with the same request id
            repeated = repeated or await self._store.cancelled_by(trigger_id, workspace, request)
        if before.is_final and not repeated:
            raise TriggerStateError(trigger.name, action="cancel", state=before.name, allowed=["RUNNING", "PAUSED"])
        return trigger, repeated

    async def pause(self, workspace: str, campaign_id: str, trigger_id: str) -> Trigger:
        """Hold a running trigger back and read it again."""
        return await self._hold("pause", self._store.pause, workspace, campaign_id, trigger_id)

    async def resume(self, workspace: str, campaign_id: str, trigger_id: str) -> Trigger:
        """Let a paused trigger go on and read it again."""
        return await self._hold("resume", self._store.resume, workspace, campaign_id, trigger_id)

    async def _hold(
        self,
        action: str,
        act: Callable[[str], Awaitable[TriggerState | None]],
        workspace: str,
        campaign_id: str,
        trigger_id: str,
    ) -> Trigger:
        trigger = (await self.get(workspace, campaign_id, trigger_id)).trigger
        before = await act(trigger_id)
        if before not in (TriggerState.RUNNING, TriggerState.PAUSED):
            state = before or trigger.state
            shown = TriggerState.CANCELLED if state is TriggerState.CANCELLING else state
            raise TriggerStateError(trigger.name, action=action, state=shown.name, allowed=["RUNNING", "PAUSED"])
        return (await self.get(workspace, campaign_id, trigger_id)).trigger


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def expires_ms(item: AcceptItem, accepted_ms: int) -> int:
    """When a trigger accepted then expires, as the store works it out: the earlier of both limits; 0 for never."""
    limits = [item.expire_ms] if item.expire_ms else []
    if item.time_to_live_ms:
        limits.append(accepted_ms + item.time_to_live_ms)
    return min(limits, default=0)


class _Call:
    """One CreateTrigger call: what does not depend on the campaign, worked out once."""

    def __init__(self, request: TriggerRequest, shards: int) -> None:
        self.request = request
        self.rows = [encode_recipient(recipient) for recipient in request.recipients]
        # Without a request id no other call can be meant by this one's record.
        self.fingerprint = self._fingerprint() if request.request_id else ""
        key = request.ordering_key
        shard = ordering_shard(request.workspace, key, shards) if key else None
        self.trigger_id = (
            derived_trigger_id(request.workspace, request.campaign_id, request.request_id, shards, shard=shard)
            if request.request_id
            else random_trigger_id(shards, secrets.randbits, shard=shard)
        )
        self.shard = shard_of(self.trigger_id) or 0

    def plan(self, known: Known) -> tuple[AcceptItem, Head]:
        """What would be written, or the error that says why nothing is."""
        campaign, request = known.campaign, self.request
        if request.expire_ms and request.expire_ms <= _now_ms():
            description = "must lie in the future: nothing could be sent any more"
            raise InvalidRequest.of([FieldProblem(path="expire_time", description=description)])
        if campaign.state is not CampaignState.LIVE:
            raise CampaignStateError(
                campaign.name, action="trigger", state=campaign.state.name, allowed=[CampaignState.LIVE.name]
            )
        if wrong := known.schema.problems(request.context, "context"):
            raise ContextInvalid.of(wrong)
        refusals = self._refusals(campaign, known.schema)
        if refusals and (request.all_or_nothing or len(refusals) == len(request.recipients)):
            raise RecipientsRefused.of([problem for refusal in refusals for problem in refusal.problems])
        head = Head(
            workspace=request.workspace,
            campaign_id=request.campaign_id,
            revision=campaign.revision,
            context=packed(request.context),
            refusals=refusal_rows(_told(refusals)),
            ordering_key=request.ordering_key,
        )
        definition = campaign.definition
        item = AcceptItem(
            trigger_id=self.trigger_id,
            campaign=campaign.key,
            revision=campaign.revision,
            lane=definition.lane,
            policy=policy_code(definition),
            fingerprint=self.fingerprint,
            head=encode(head),
            parts=self._parts(definition, {refusal.index for refusal in refusals}),
            expire_ms=request.expire_ms,
            time_to_live_ms=1000 * definition.time_to_live_s,
        )
        return item, head

    def accepted(self, item: AcceptItem, head: Head, at_ms: int) -> Trigger:
        """The trigger as it was accepted then; nameless for 0, where nothing was."""
        trigger_id = self.trigger_id if at_ms else ""
        return accepted_trigger(trigger_id, head, item.count, at_ms, expires_ms(item, at_ms or _now_ms()))

    def _fingerprint(self) -> str:
        request = self.request
        values = (request.context, request.all_or_nothing, request.expire_ms, request.ordering_key)
        devices = [encode_devices(recipient) for recipient in request.recipients if recipient.devices]
        return fingerprint(values, [*self.rows, *devices])

    def _parts(self, definition: Definition, refused: set[int]) -> list[AcceptPart]:
        """The deliveries by medium, each in the order of the recipients."""
        request = self.request
        rows: dict[Medium, list[bytes]] = {}
        lines: dict[Medium, list[str]] = {}
        for index, recipient in enumerate(request.recipients):
            if index in refused:
                continue
            for each in owed(definition, recipient):
                row = encode_recipient(recipient, each.device) if each.device else self.rows[index]
                rows.setdefault(each.medium, []).append(row)
                if request.ordering_key:
                    place = each.device.token if each.device else each.medium.value
                    line = ordering_line(request.workspace, request.ordering_key, recipient.user_id, place)
                    lines.setdefault(each.medium, []).append(line)
        channels = definition.channels
        return [
            AcceptPart(
                medium=medium,
                configuration=f"{request.workspace}/{channels[medium.channel]}",
                rows=rows[medium],
                lines=lines.get(medium, []),
            )
            for medium in Medium
            if medium in rows
        ]

    def _refusals(self, campaign: Campaign, schema: ContextSchema) -> tuple[Refusal, ...]:
        recipients = self.request.recipients
        repeated = duplicate_user_ids([recipient.user_id for recipient in recipients])
        refusals = []
        for index, recipient in enumerate(recipients):
            path = f"recipients[{index}]"
            problems = recipient_problems(campaign, schema, self.request.context, recipient, path)
            if index in repeated:
                description = f"is the user id of recipients[{repeated[index]}] too"
                problems.append(FieldProblem(path=f"{path}.user_id", description=description))
            if problems:
                refusals.append(Refusal(index=index, user_id=recipient.user_id, problems=tuple(problems)))
        return tuple(refusals)


def _told(refusals: Sequence[Refusal]) -> tuple[Refusal, ...]:
    """The refusals as they are answered and kept: the first problems of each, and how many more there are."""
    most = min(MOST_PROBLEMS, MOST_IN_ALL // max(1, len(refusals)))
    return tuple(replace(refusal, problems=_first(refusal, most)) for refusal in refusals)


def _first(refusal: Refusal, most: int) -> tuple[FieldProblem, ...]:
    first = [replace(problem, path=cut(problem.path, MOST_PATH)) for problem in refusal.problems[:most]]
    if more := len(refusal.problems) - len(first):
        first.append(FieldProblem(path=f"recipients[{refusal.index}]", description=f"and {more} more, not shown"))
    return tuple(first)
