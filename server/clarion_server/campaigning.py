"""Campaigns: created, changed, moved through their life, previewed."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from clarion_core.content.renderer import Renderer
from clarion_core.content.types import RenderedTexts, RenderFailure, Revision, packed_request
from clarion_core.domain.campaign import (
    DELETABLE,
    MIN_RETRY_AGE_S,
    UPDATABLE,
    Action,
    Campaign,
    CampaignState,
    Definition,
    after,
    names_of,
)
from clarion_core.domain.context import ContextSchema, declaration_problems
from clarion_core.domain.errors import (
    CampaignExists,
    CampaignNotFound,
    CampaignStateError,
    ClarionError,
    ConcurrentChange,
    ContextInvalid,
    EtagMismatch,
    FieldProblem,
    InvalidRequest,
    RecipientsRefused,
    TemplateInvalid,
)
from clarion_core.domain.feedback import FeedbackCounts
from clarion_core.domain.files import FileLimits, described, filled, lack, missing
from clarion_core.domain.medium import Channel
from clarion_core.domain.owed import owed
from clarion_core.domain.recipient import Recipient
from clarion_core.domain.trigger import Counts
from clarion_core.store.campaigns import CampaignStore, RequestKey, Slot
from clarion_core.store.records import decode_campaign, fingerprint
from clarion_server.recipients import recipient_problems, unreached

TRIES = 5

AnswerT = TypeVar("AnswerT")

ConfigurationCheck = Callable[[str, Definition, str], Awaitable[list[FieldProblem]]]
"""What is wrong with the channel configurations that a workspace's definition names; last, its path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What a changing call carries besides the change: the etag it expects and its request id, each may be empty."""

    etag: str = ""
    request_id: str = ""

    def key(self, *body: object) -> RequestKey:
        """The request id with the fingerprint of the call; without one, an id of this try alone."""
        return RequestKey(id=self.request_id or str(uuid.uuid4()), fingerprint=fingerprint((self.etag, *body)))


class Campaigns:
    """Reads and changes campaigns. Changes answer with the campaign and whether an earlier call made them."""

    def __init__(
        self, store: CampaignStore, renderer: Renderer, configured: ConfigurationCheck, limits: FileLimits
    ) -> None:
        self._store, self._renderer, self._configured, self._limits = store, renderer, configured, limits

    async def get(
        self, workspace: str, campaign_id: str, *, include_files: bool = False
    ) -> tuple[Campaign, Counts, FeedbackCounts]:
        """A campaign, its files with their data where asked for, its account, and what was heard of its deliveries."""
        slot = await self._store.read(workspace, campaign_id)
        campaign = _found(slot, campaign_id)
        if include_files and lack(campaign.definition):
            campaign = replace(campaign, definition=await self._with_files(campaign, campaign.definition))
        return campaign, await self._store.counts(campaign.key), await self._store.feedback(campaign.key)

    async def page(self, workspace: str, after_id: str, limit: int) -> tuple[list[Campaign], str]:
        """Campaigns in the order of their ids, behind `after_id`; and the id to go on behind, empty at the end."""
        return await self._store.page(workspace, after_id, limit)

    async def create(
        self, workspace: str, campaign_id: str, definition: Definition, guard: Guard, *, validate_only: bool
    ) -> tuple[Campaign, bool]:
        """Store a new campaign in DRAFT."""
        request = guard.key("create", campaign_id, described(definition))

        async def create() -> tuple[Campaign, bool]:
            return await self._create(workspace, campaign_id, definition, request, validate_only=validate_only)

        return await self._once(workspace, f"campaigns/{campaign_id}", guard, request, create, _replayed)

    async def _create(
        self, workspace: str, campaign_id: str, definition: Definition, request: RequestKey, *, validate_only: bool
    ) -> tuple[Campaign, bool]:
        name = f"campaigns/{campaign_id}"
        await self._check(workspace, definition, "campaign")
        slot = await self._store.read(workspace, campaign_id)
        if slot.campaign is not None:
            raise CampaignExists(name)
        campaign = Campaign(
            workspace=workspace,
            id=campaign_id,
            state=CampaignState.DRAFT,
            revision=slot.revision + 1,
            version=slot.version + 1,
            create_ms=slot.now_ms,
            update_ms=slot.now_ms,
            definition=definition,
        )
        if validate_only:
            return campaign, False
        try:
            replayed = await self._store.put(campaign, slot, request)
        except ConcurrentChange:
            raise CampaignExists(name) from None
        return (replayed, True) if replayed else (campaign, False)

    async def update(
        self,
        workspace: str,
        campaign_id: str,
        change: Callable[[Definition], Definition],
        guard: Guard,
        body: object,
        *,
        validate_only: bool,
    ) -> tuple[Campaign, bool]:
        """Change what a campaign says; `body` is what the change is made of. No difference, no new revision."""

        async def changed(campaign: Campaign) -> Campaign:
            if campaign.state not in UPDATABLE:
                allowed = names_of(UPDATABLE)
                raise CampaignStateError(campaign.name, action="update", state=campaign.state.name, allowed=allowed)
            definition = change(campaign.definition)
            if lack(definition) and described(definition) != campaign.definition:
                definition = await self._with_files(campaign, definition)
            if described(definition) == campaign.definition:
                return campaign
            if definition.category != campaign.definition.category and campaign.state is not CampaignState.DRAFT:
                raise CampaignStateError(
                    campaign.name, action="change the category", state=campaign.state.name, allowed=["DRAFT"]
                )
            await self._check(workspace, definition, "campaign")
            return replace(campaign, definition=definition, revision=campaign.revision + 1)

        request = guard.key("update", campaign_id, body)
        return await self._change(workspace, campaign_id, changed, guard, request, validate_only=validate_only)

    async def act(self, workspace: str, campaign_id: str, action: Action, guard: Guard) -> tuple[Campaign, bool]:
        """Move a campaign through its life."""

        async def changed(campaign: Campaign) -> Campaign:
            return replace(campaign, state=after(action, campaign.state, name=campaign.name))

        return await self._change(workspace, campaign_id, changed, guard, guard.key(action.value, campaign_id))

    async def delete(self, workspace: str, campaign_id: str, guard: Guard) -> bool:
        """Remove a campaign; True where an earlier call had."""
        request = guard.key("delete", campaign_id)
        name = f"campaigns/{campaign_id}"

        async def delete() -> bool:
            for _ in range(TRIES):
                campaign = _found(await self._store.read(workspace, campaign_id), campaign_id)
                _check_etag(campaign, guard)
                if campaign.state not in DELETABLE:
                    allowed = names_of(DELETABLE)
                    raise CampaignStateError(name, action="delete", state=campaign.state.name, allowed=allowed)
                try:
                    return await self._store.delete(campaign, request)
                except ConcurrentChange:
                    continue
            raise ConcurrentChange(name)

        return await self._once(workspace, name, guard, request, delete, lambda _: True)

    async def preview(
        self,
        workspace: str,
        campaign_id: str,
        recipient: Recipient,
        shared: dict[str, object],
        channel: Channel | None = None,
    ) -> tuple[Campaign, dict[Channel, RenderedTexts]]:
        """Render the campaign for one recipient: what it would get on each channel, or on this one alone.

        What does not fit is refused as a trigger would refuse it.
        """
        campaign = _found(await self._store.read(workspace, campaign_id), campaign_id)
        schema = ContextSchema(campaign.definition.context)
        if wrong := schema.problems(shared, "context"):
            raise ContextInvalid.of(wrong)
        if wrong := recipient_problems(campaign, schema, shared, recipient, "recipient"):
            raise RecipientsRefused.of(wrong)
        revision = Revision(
            key=f"{campaign.key}:{campaign.revision}",
            campaign_id=campaign.id,
            definition=campaign.definition,
        )
        request = [packed_request(recipient, shared)]
        found, problems = {}, []
        for each in _previewed(campaign.definition, recipient, channel):
            [rendered] = await self._renderer.render(revision, each, request)
            if isinstance(rendered, RenderFailure):
                index = list(campaign.definition.contents).index(each)
                path = f"campaign.contents[{index}].{each.value}"
                problems.append(FieldProblem(path=path, description=rendered.detail))
            else:
                found[each] = rendered
        if problems:
            raise TemplateInvalid.of(problems)
        return campaign, found

    async def _with_files(self, campaign: Campaign, definition: Definition) -> Definition:
        """A definition whose files have their data, as far as the campaign as it is has them."""
        return filled(definition, await self._store.files(campaign.key, campaign.revision))

    async def _check(self, workspace: str, definition: Definition, path: str) -> None:
        """Raise what is wrong with a definition: its declarations first, then its templates with line and column."""
        problems = declaration_problems(definition.context, f"{path}.context")
        if not definition.contents:
            problems.append(FieldProblem(path=f"{path}.contents", description="at least one channel needs content"))
        least_s = MIN_RETRY_AGE_S[definition.category]
        if definition.retry_policy.max_age_s < least_s:
            description = f"must be at least {least_s} for {definition.category.name}, or 0 for the default"
            problems.append(FieldProblem(path=f"{path}.retry_policy.max_age_s", description=description))
        if definition.throttle.burst and not definition.throttle.rate_per_s:
            description = "is required where there is a burst: how many go after it"
            problems.append(FieldProblem(path=f"{path}.throttle.rate_per_s", description=description))
        problems += missing(definition, f"{path}.contents")
        problems += self._limits.problems(definition, f"{path}.contents")
        problems += await self._configured(workspace, definition, path)
        if problems:
            raise InvalidRequest.of(problems)
        found = await self._renderer.check(definition, f"{path}.contents")
        if found:
            first = found[0]
            raise TemplateInvalid.of(
                [FieldProblem(path=problem.where, description=problem.message) for problem in found],
                metadata={"template": first.path, "line": str(first.line), "column": str(first.column)},
            )

    async def _change(
        self,
        workspace: str,
        campaign_id: str,
        changed: Callable[[Campaign], Awaitable[Campaign]],
        guard: Guard,
        request: RequestKey,
        *,
        validate_only: bool = False,
    ) -> tuple[Campaign, bool]:
        """Read, change, write if nobody else did meanwhile; again a few times where the caller named no etag."""
        name = f"campaigns/{campaign_id}"

        async def change() -> tuple[Campaign, bool]:
            for _ in range(TRIES):
                slot = await self._store.read(workspace, campaign_id)
                before = _found(slot, campaign_id)
                _check_etag(before, guard)
                campaign = await changed(before)
                # No change is written down only as the answer to its request id: version and etag stay.
                if validate_only or (campaign == before and not guard.request_id):
                    return campaign, False
                if campaign != before:
                    campaign = replace(campaign, version=before.version + 1, update_ms=slot.now_ms)
                try:
                    replayed = await self._store.put(campaign, slot, request)
                except ConcurrentChange:
                    continue
                return (replayed, True) if replayed else (campaign, False)
            raise ConcurrentChange(name)

        return await self._once(workspace, name, guard, request, change, _replayed)

    async def _once(
        self,
        workspace: str,
        name: str,
        guard: Guard,
        request: RequestKey,
        act: Callable[[], Awaitable[AnswerT]],
        replay: Callable[[bytes], AnswerT],
    ) -> AnswerT:
        """Act, unless the request id was answered before; looked up again where acting fails: a racing call with the
        same request id may have been faster.
        """

        async def earlier() -> bytes | None:
            return await self._store.answered(workspace, request, name) if guard.request_id else None

        if (answer := await earlier()) is not None:
            return replay(answer)
        try:
            return await act()
        except ClarionError:
            if (answer := await earlier()) is not None:
                return replay(answer)
            raise


def _previewed(definition: Definition, recipient: Recipient, channel: Channel | None) -> list[Channel]:
    """The channels to show: those that reach the recipient, or the one that was asked for."""
    reached = {each.medium.channel for each in owed(definition, recipient)}
    if channel is None:
        return [each for each in definition.contents if each in reached]
    if channel not in definition.contents:
        said = ", ".join(definition.contents)
        description = f"the campaign says nothing there; it has content for {said}"
        raise InvalidRequest.of([FieldProblem(path="channel", description=description)])
    if channel not in reached:
        raise RecipientsRefused.of([unreached([channel], "recipient")])
    return [channel]


def _replayed(answer: bytes) -> tuple[Campaign, bool]:
    return decode_campaign(answer), True


def _found(slot: Slot, campaign_id: str) -> Campaign:
    if slot.campaign is None:
        raise CampaignNotFound(f"campaigns/{campaign_id}")
    return slot.campaign


def _check_etag(campaign: Campaign, guard: Guard) -> None:
    if guard.etag and guard.etag != campaign.etag:
        raise EtagMismatch(campaign.name, campaign.etag)
