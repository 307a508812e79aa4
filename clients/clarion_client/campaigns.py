"""CampaignService, one method per RPC."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING

import grpc.aio
from google.protobuf.field_mask_pb2 import FieldMask

from clarion.v1.campaign_pb2 import Campaign
from clarion.v1.campaign_service_pb2 import (
    ActivateCampaignRequest,
    CreateCampaignRequest,
    DeleteCampaignRequest,
    GetCampaignRequest,
    ListCampaignsRequest,
    PauseCampaignRequest,
    PreviewCampaignRequest,
    PreviewCampaignResponse,
    ResumeCampaignRequest,
    StopCampaignRequest,
    UpdateCampaignRequest,
)
from clarion.v1.campaign_service_pb2_grpc import CampaignServiceStub
from clarion_client.connection import Caller
from clarion_client.names import campaign_name
from clarion_client.paging import all_pages
from clarion_client.values import JsonLike, RecipientLike, new_request_id, to_recipient, to_struct

if TYPE_CHECKING:  # the generated module has the name for type checkers alone
    from clarion.v1.campaign_service_pb2_grpc import CampaignServiceAsyncStub


class CampaignCalls:
    """Campaigns: keep them, move them through their states, preview them.

    A campaign is named in full or in short: `campaigns/welcome` or `welcome`. `request_id` is a UUID that makes a
    call idempotent for 24 hours; a new one is made unless given. `etag` makes a call fail with Aborted if somebody
    changed the campaign since. `timeout_s` bounds the call with all its repeats.
    """

    def __init__(self, channel: grpc.aio.Channel, caller: Caller) -> None:
        self._campaigns: CampaignServiceAsyncStub = CampaignServiceStub(channel)
        self._caller = caller

    async def create_campaign(
        self,
        campaign_id: str,
        campaign: Campaign,
        *,
        request_id: str = "",
        validate_only: bool = False,
        timeout_s: float | None = None,
    ) -> Campaign:
        """Store a new campaign in DRAFT. AlreadyExists, InvalidArgument (TEMPLATE_INVALID with line and column)."""
        request = CreateCampaignRequest(
            campaign_id=campaign_id,
            campaign=campaign,
            request_id=request_id or new_request_id(),
            validate_only=validate_only,
        )
        return (await self._caller.call(self._campaigns.CreateCampaign, request, timeout_s)).campaign

    async def get_campaign(self, name: str, *, include_files: bool = False, timeout_s: float | None = None) -> Campaign:
        """One campaign with its counts, attached files with their data where `include_files`. NotFound."""
        request = GetCampaignRequest(name=campaign_name(name), include_files=include_files)
        return (await self._caller.call(self._campaigns.GetCampaign, request, timeout_s)).campaign

    def list_campaigns(self, *, page_size: int = 0, timeout_s: float | None = None) -> AsyncIterator[Campaign]:
        """Every campaign of the workspace in the order of their names, without counts. The limit holds for a page."""
        return all_pages(
            lambda token: self._caller.call(
                self._campaigns.ListCampaigns, ListCampaignsRequest(page_size=page_size, page_token=token), timeout_s
            ),
            lambda page: page.campaigns,
        )

    async def update_campaign(
        self,
        campaign: Campaign,
        *,
        update_mask: Iterable[str] | None = None,
        etag: str = "",
        request_id: str = "",
        validate_only: bool = False,
        timeout_s: float | None = None,
    ) -> Campaign:
        """Change the named top-level fields; None: those that are set; `["*"]`: all. `campaign.name` says which."""
        request = UpdateCampaignRequest(
            campaign=campaign,
            update_mask=None if update_mask is None else FieldMask(paths=update_mask),
            etag=etag,
            request_id=request_id or new_request_id(),
            validate_only=validate_only,
        )
        return (await self._caller.call(self._campaigns.UpdateCampaign, request, timeout_s)).campaign

    async def delete_campaign(
        self, name: str, *, etag: str = "", request_id: str = "", timeout_s: float | None = None
    ) -> None:
        """Remove a campaign in DRAFT or STOPPED. NotFound, FailedPrecondition.

        One created again under the same id keeps the account and, within 60 days, goes on counting revisions.
        """
        request = DeleteCampaignRequest(name=campaign_name(name), etag=etag, request_id=request_id or new_request_id())
        await self._caller.call(self._campaigns.DeleteCampaign, request, timeout_s)

    async def activate_campaign(
        self, name: str, *, etag: str = "", request_id: str = "", timeout_s: float | None = None
    ) -> Campaign:
        """DRAFT → LIVE. Any other state: FailedPrecondition."""
        request = ActivateCampaignRequest(
            name=campaign_name(name), etag=etag, request_id=request_id or new_request_id()
        )
        return (await self._caller.call(self._campaigns.ActivateCampaign, request, timeout_s)).campaign

    async def pause_campaign(
        self, name: str, *, etag: str = "", request_id: str = "", timeout_s: float | None = None
    ) -> Campaign:
        """LIVE → PAUSED: triggers are refused, accepted deliveries wait. Any other state: FailedPrecondition."""
        request = PauseCampaignRequest(name=campaign_name(name), etag=etag, request_id=request_id or new_request_id())
        return (await self._caller.call(self._campaigns.PauseCampaign, request, timeout_s)).campaign

    async def resume_campaign(
        self, name: str, *, etag: str = "", request_id: str = "", timeout_s: float | None = None
    ) -> Campaign:
        """PAUSED → LIVE: what waited goes on. Any other state: FailedPrecondition."""
        request = ResumeCampaignRequest(name=campaign_name(name), etag=etag, request_id=request_id or new_request_id())
        return (await self._caller.call(self._campaigns.ResumeCampaign, request, timeout_s)).campaign

    async def stop_campaign(
        self, name: str, *, etag: str = "", request_id: str = "", timeout_s: float | None = None
    ) -> Campaign:
        """LIVE or PAUSED → STOPPED, for good: deliveries not yet handed over become CANCELLED. FailedPrecondition."""
        request = StopCampaignRequest(name=campaign_name(name), etag=etag, request_id=request_id or new_request_id())
        return (await self._caller.call(self._campaigns.StopCampaign, request, timeout_s)).campaign

    async def preview_campaign(
        self,
        name: str,
        recipient: RecipientLike,
        context: Mapping[str, JsonLike] | None = None,
        *,
        channel: str = "",
        timeout_s: float | None = None,
    ) -> PreviewCampaignResponse:
        """What this recipient would get on each channel, or on this one; nothing is sent.

        InvalidArgument as `create_trigger` would raise it.
        """
        request = PreviewCampaignRequest(
            name=campaign_name(name), recipient=to_recipient(recipient), context=to_struct(context), channel=channel
        )
        return await self._caller.call(self._campaigns.PreviewCampaign, request, timeout_s)
