"""CampaignService: convert in, call, convert out."""

from __future__ import annotations

import functools
from typing import Any, Protocol

import grpc

from clarion.v1 import campaign_service_pb2 as pb
from clarion.v1 import campaign_service_pb2_grpc
from clarion_core.domain.campaign import Action
from clarion_core.domain.files import described
from clarion_core.domain.medium import Channel
from clarion_server.campaigning import Campaigns, Guard
from clarion_server.convert_campaign import changed, from_campaign, mask_of, to_definition
from clarion_server.convert_preview import from_preview
from clarion_server.convert_trigger import to_recipient
from clarion_server.edge import workspace
from clarion_server.names import campaign_id
from clarion_server.paging import fitting, make_token, page_size, read_token
from clarion_server.values import from_struct

Context = grpc.aio.ServicerContext[Any, Any]


class _Acts(Protocol):
    """What all requests for an action carry."""

    name: str
    etag: str
    request_id: str


class CampaignService(campaign_service_pb2_grpc.CampaignServiceServicer):
    """Keeps campaigns."""

    def __init__(self, campaigns: Campaigns) -> None:
        self._campaigns = campaigns

    async def CreateCampaign(self, request: pb.CreateCampaignRequest, _: Context) -> pb.CreateCampaignResponse:
        """Store a new campaign in DRAFT."""
        campaign, replayed = await self._campaigns.create(
            workspace(),
            request.campaign_id,
            to_definition(request.campaign),
            Guard(request_id=request.request_id),
            validate_only=request.validate_only,
        )
        return pb.CreateCampaignResponse(campaign=from_campaign(campaign), replayed=replayed)

    async def GetCampaign(self, request: pb.GetCampaignRequest, _: Context) -> pb.GetCampaignResponse:
        """Read one campaign with its counts."""
        campaign, counts, feedback = await self._campaigns.get(
            workspace(), campaign_id(request.name), include_files=request.include_files
        )
        return pb.GetCampaignResponse(
            campaign=from_campaign(campaign, counts, feedback, include_files=request.include_files)
        )

    async def ListCampaigns(self, request: pb.ListCampaignsRequest, _: Context) -> pb.ListCampaignsResponse:
        """Page through the workspace's campaigns."""
        bound = ("campaigns", workspace())
        position = read_token(request.page_token, tuple[str], *bound)
        size = page_size(request.page_size)
        found, last = await self._campaigns.page(workspace(), position[0] if position else "", size)
        shown = fitting([from_campaign(campaign) for campaign in found])
        if len(shown) < len(found):
            last = found[len(shown) - 1].id
        token = make_token((last,), *bound) if last else ""
        return pb.ListCampaignsResponse(campaigns=shown, next_page_token=token)

    async def UpdateCampaign(self, request: pb.UpdateCampaignRequest, _: Context) -> pb.UpdateCampaignResponse:
        """Change the named fields."""
        mask = mask_of(request.campaign, request.update_mask.paths)
        campaign, replayed = await self._campaigns.update(
            workspace(),
            campaign_id(request.campaign.name),
            functools.partial(changed, proto=request.campaign, paths=mask),
            Guard(etag=request.etag, request_id=request.request_id),
            (sorted(mask), described(to_definition(request.campaign))),
            validate_only=request.validate_only,
        )
        return pb.UpdateCampaignResponse(campaign=from_campaign(campaign), replayed=replayed)

    async def DeleteCampaign(self, request: pb.DeleteCampaignRequest, _: Context) -> pb.DeleteCampaignResponse:
        """Remove a campaign in DRAFT or STOPPED."""
        guard = Guard(etag=request.etag, request_id=request.request_id)
        replayed = await self._campaigns.delete(workspace(), campaign_id(request.name), guard)
        return pb.DeleteCampaignResponse(replayed=replayed)

    async def ActivateCampaign(self, request: pb.ActivateCampaignRequest, _: Context) -> pb.ActivateCampaignResponse:
        """DRAFT → LIVE."""
        return pb.ActivateCampaignResponse(**await self._act(request, Action.ACTIVATE))

    async def PauseCampaign(self, request: pb.PauseCampaignRequest, _: Context) -> pb.PauseCampaignResponse:
        """LIVE → PAUSED."""
        return pb.PauseCampaignResponse(**await self._act(request, Action.PAUSE))

    async def ResumeCampaign(self, request: pb.ResumeCampaignRequest, _: Context) -> pb.ResumeCampaignResponse:
        """PAUSED → LIVE."""
        return pb.ResumeCampaignResponse(**await self._act(request, Action.RESUME))

    async def StopCampaign(self, request: pb.StopCampaignRequest, _: Context) -> pb.StopCampaignResponse:
        """LIVE or PAUSED → STOPPED."""
        return pb.StopCampaignResponse(**await self._act(request, Action.STOP))

    async def PreviewCampaign(self, request: pb.PreviewCampaignRequest, _: Context) -> pb.PreviewCampaignResponse:
        """Render for one recipient."""
        recipient = to_recipient(request.recipient)
        campaign, rendered = await self._campaigns.preview(
            workspace(),
            campaign_id(request.name),
            recipient,
            from_struct(request.context),
            Channel(request.channel) if request.channel else None,
        )
        return from_preview(campaign, recipient, rendered)

    async def _act(self, request: _Acts, action: Action) -> dict[str, Any]:
        guard = Guard(etag=request.etag, request_id=request.request_id)
        campaign, replayed = await self._campaigns.act(workspace(), campaign_id(request.name), action, guard)
        return {"campaign": from_campaign(campaign), "replayed": replayed}
