"""TriggerService, one method per RPC."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import grpc.aio

from clarion.v1.trigger_pb2 import Trigger
from clarion.v1.trigger_service_pb2 import (
    CancelTriggerRequest,
    CreateTriggerRequest,
    CreateTriggerResponse,
    GetTriggerRequest,
    ListTriggersRequest,
    PauseTriggerRequest,
    ResumeTriggerRequest,
    WatchTriggerResponse,
)
from clarion.v1.trigger_service_pb2_grpc import TriggerServiceStub
from clarion_client.connection import Caller
from clarion_client.names import campaign_name, trigger_name
from clarion_client.paging import all_pages
from clarion_client.values import JsonLike, RecipientLike, new_request_id, to_recipient, to_struct, to_timestamp
from clarion_client.watch import Watch

if TYPE_CHECKING:  # the generated module has the name for type checkers alone
    from clarion.v1.trigger_service_pb2_grpc import TriggerServiceAsyncStub


class TriggerCalls:
    """Triggers: run a campaign, and see what became of every recipient.

    A trigger is named in full or in short: `campaigns/welcome/triggers/01…` or `welcome/01…`. `request_id` and
    `timeout_s` are what they are for campaigns.
    """

    def __init__(self, channel: grpc.aio.Channel, caller: Caller) -> None:
        self._triggers: TriggerServiceAsyncStub = TriggerServiceStub(channel)
        self._caller = caller

    async def create_trigger(
        self,
        campaign: str,
        recipients: Iterable[RecipientLike],
        context: Mapping[str, JsonLike] | None = None,
        *,
        expire_time: datetime | None = None,
        ordering_key: str = "",
        request_id: str = "",
        all_or_nothing: bool = False,
        validate_only: bool = False,
        timeout_s: float | None = None,
    ) -> CreateTriggerResponse:
        """Send the campaign to 1 to 1,000 recipients. Answers when the trigger is stored, before anything is sent.

        After `expire_time` nothing of it is sent any more: what is left becomes EXPIRED. Deliveries of one
        `ordering_key` to one user id are handed over in the order they were accepted, through all retries, across all
        campaigns of the workspace.

        Recipients that can't be right are in `trigger.refusals`, the others are accepted. InvalidArgument where all
        are refused, or one is with `all_or_nothing`, or `expire_time` is over; FailedPrecondition where the campaign
        is not LIVE. ValueError where `expire_time` has no time zone. A given `request_id` makes the call safe to
        repeat from another process too.
        """
        request = CreateTriggerRequest(
            campaign=campaign_name(campaign),
            recipients=[to_recipient(each) for each in recipients],
            context=to_struct(context),
            expire_time=to_timestamp(expire_time, "expire_time"),
            ordering_key=ordering_key,
            request_id=request_id or new_request_id(),
            all_or_nothing=all_or_nothing,
            validate_only=validate_only,
        )
        return await self._caller.call(self._triggers.CreateTrigger, request, timeout_s)

    async def get_trigger(self, name: str, *, timeout_s: float | None = None) -> Trigger:
        """One trigger with its counts. NotFound, also after its lifetime (7 days after it finished by default)."""
        request = GetTriggerRequest(name=trigger_name(name))
        return (await self._caller.call(self._triggers.GetTrigger, request, timeout_s)).trigger

    def list_triggers(
        self, campaign: str, *, page_size: int = 0, timeout_s: float | None = None
    ) -> AsyncIterator[Trigger]:
        """Every trigger of a campaign, the newest first, without refusals. The limit holds for a page."""
        name = campaign_name(campaign)
        return all_pages(
            lambda token: self._caller.call(
                self._triggers.ListTriggers,
                ListTriggersRequest(campaign=name, page_size=page_size, page_token=token),
                timeout_s,
            ),
            lambda page: page.triggers,
        )

    async def cancel_trigger(self, name: str, *, request_id: str = "", timeout_s: float | None = None) -> Trigger:
        """Call off what is not yet handed over. FailedPrecondition where the trigger is finished already."""
        request = CancelTriggerRequest(name=trigger_name(name), request_id=request_id or new_request_id())
        return (await self._caller.call(self._triggers.CancelTrigger, request, timeout_s)).trigger

    async def pause_trigger(self, name: str, *, request_id: str = "", timeout_s: float | None = None) -> Trigger:
        """Hold back what is not yet handed over, until the trigger is resumed, cancelled or expired.

        A paused trigger stays paused. FailedPrecondition where the trigger is finished or called off.
        """
        request = PauseTriggerRequest(name=trigger_name(name), request_id=request_id or new_request_id())
        return (await self._caller.call(self._triggers.PauseTrigger, request, timeout_s)).trigger

    async def resume_trigger(self, name: str, *, request_id: str = "", timeout_s: float | None = None) -> Trigger:
        """Let a paused trigger go on where it stood; that of a PAUSED campaign goes on with the campaign.

        A running trigger goes on running. FailedPrecondition where the trigger is finished or called off.
        """
        request = ResumeTriggerRequest(name=trigger_name(name), request_id=request_id or new_request_id())
        return (await self._caller.call(self._triggers.ResumeTrigger, request, timeout_s)).trigger

    def watch_trigger(
        self, name: str, *, resume_token: str = "", feedback: bool = False
    ) -> AsyncGenerator[WatchTriggerResponse, None]:
        """A snapshot, then every change in order; ends when every recipient is accounted for.

        With `feedback` it goes on then, for what is heard of the messages (delivered, bounced, complained), until it is
        closed.

        A stream that breaks is resumed without a gap or a repeat. Where the server no longer keeps the events in
        between, a further snapshot says how things stand. With the `resume_token` of an earlier step the watch goes
        on behind it. NotFound; Unavailable after `RetryConfig.watch_patience_s` without an answer.
        """
        return Watch(self._triggers, self._caller, trigger_name(name), resume_token, feedback=feedback).steps()
