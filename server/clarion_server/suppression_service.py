"""SuppressionService: convert in, call, convert out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import grpc
import msgspec

from clarion.v1 import suppression_pb2, suppression_service_pb2_grpc
from clarion.v1 import suppression_service_pb2 as pb
from clarion_core.domain.medium import Channel
from clarion_core.domain.suppression import Entry, Target
from clarion_core.store.suppressions import BEGINNING, AllowLists, Lists, Suppressions
from clarion_server.convert_suppression import (
    ADDED,
    Result,
    from_allow_list,
    from_allowed,
    from_suppression,
    from_verdict,
    to_entry,
    to_reasons,
    to_target,
)
from clarion_server.convert_trigger import milliseconds
from clarion_server.edge import workspace
from clarion_server.listing import change
from clarion_server.paging import make_token, page_size, read_token
from clarion_server.repeats import Repeats

Context = grpc.aio.ServicerContext[Any, Any]
Place = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{8}([0-9a-f]{32})?$")]
_List = pb.ListSuppressionsRequest | pb.ListAllowedRequest
ShownT = TypeVar("ShownT", suppression_pb2.Suppression, suppression_pb2.AllowedEntry)


class SuppressionService(suppression_service_pb2_grpc.SuppressionServiceServicer):
    """Keeps suppression and allow lists."""

    def __init__(self, suppressions: Suppressions, allowed: AllowLists, repeats: Repeats) -> None:
        self._suppressions, self._allowed, self._once = suppressions, allowed, repeats.once

    async def AddSuppressions(self, request: pb.AddSuppressionsRequest, _: Context) -> pb.AddSuppressionsResponse:
        """Add suppressions."""

        async def act() -> pb.AddSuppressionsResponse:
            verdicts = await _add(self._suppressions, request.suppressions, "suppressions", dry=request.validate_only)
            return pb.AddSuppressionsResponse(verdicts=verdicts)

        return await self._once(request, pb.AddSuppressionsResponse, act)

    async def RemoveSuppressions(
        self, request: pb.RemoveSuppressionsRequest, _: Context
    ) -> pb.RemoveSuppressionsResponse:
        """Remove suppressions."""

        async def act() -> pb.RemoveSuppressionsResponse:
            return pb.RemoveSuppressionsResponse(verdicts=await _remove(self._suppressions, request.targets))

        return await self._once(request, pb.RemoveSuppressionsResponse, act)

    async def CheckAddresses(self, request: pb.CheckAddressesRequest, _: Context) -> pb.CheckAddressesResponse:
        """Say who would be sent to."""
        channel = Channel(request.channel)
        verdicts = await self._suppressions.verdicts(
            workspace(), channel, request.addresses, pass_over_complaints=request.pass_over_complaints
        )
        shown = [from_verdict(channel, *each) for each in zip(request.addresses, verdicts, strict=True)]
        return pb.CheckAddressesResponse(verdicts=shown)

    async def ListSuppressions(self, request: pb.ListSuppressionsRequest, _: Context) -> pb.ListSuppressionsResponse:
        """Page through suppressions."""
        reasons = to_reasons(request.reasons)
        from_ms = milliseconds(request.from_time, "from_time") if request.HasField("from_time") else 0

        def fits(entry: Entry) -> bool:
            return (
                entry.target.value.startswith(request.prefix)
                and (not reasons or entry.reason in reasons)
                and request.source in ("", entry.source)
                and entry.create_ms >= from_ms
            )

        found, token = await _page(self._suppressions, request, fits, from_suppression)
        return pb.ListSuppressionsResponse(suppressions=found, next_page_token=token)

    async def GetAllowList(self, request: pb.GetAllowListRequest, _: Context) -> pb.GetAllowListResponse:
        """Read an allow list's state."""
        channel = Channel(request.channel)
        state = await self._allowed.state(workspace(), channel)
        return pb.GetAllowListResponse(allow_list=from_allow_list(channel, state))

    async def SetAllowListActive(
        self, request: pb.SetAllowListActiveRequest, _: Context
    ) -> pb.SetAllowListActiveResponse:
        """Switch an allow list on or off."""

        async def act() -> pb.SetAllowListActiveResponse:
            channel = Channel(request.channel)
            state = await self._allowed.set_active(workspace(), channel, active=request.active)
            return pb.SetAllowListActiveResponse(allow_list=from_allow_list(channel, state))

        return await self._once(request, pb.SetAllowListActiveResponse, act)

    async def AddAllowed(self, request: pb.AddAllowedRequest, _: Context) -> pb.AddAllowedResponse:
        """Add entries to allow lists."""

        async def act() -> pb.AddAllowedResponse:
            verdicts = await _add(self._allowed, request.entries, "entries", dry=request.validate_only)
            return pb.AddAllowedResponse(verdicts=verdicts)

        return await self._once(request, pb.AddAllowedResponse, act)

    async def RemoveAllowed(self, request: pb.RemoveAllowedRequest, _: Context) -> pb.RemoveAllowedResponse:
        """Remove entries from allow lists."""

        async def act() -> pb.RemoveAllowedResponse:
            return pb.RemoveAllowedResponse(verdicts=await _remove(self._allowed, request.targets))

        return await self._once(request, pb.RemoveAllowedResponse, act)

    async def ListAllowed(self, request: pb.ListAllowedRequest, _: Context) -> pb.ListAllowedResponse:
        """Page through an allow list."""
        found, token = await _page(
            self._allowed, request, lambda entry: entry.target.value.startswith(request.prefix), from_allowed
        )
        return pb.ListAllowedResponse(entries=found, next_page_token=token)


async def _add(
    lists: Lists,
    items: Sequence[suppression_pb2.Suppression] | Sequence[suppression_pb2.AllowedEntry],
    field: str,
    *,
    dry: bool,
) -> list[suppression_pb2.EntryVerdict]:
    async def act(channel: Channel, entries: Sequence[Entry]) -> Sequence[int]:
        if dry:
            return [Result.RESULT_VALID] * len(entries)
        return [ADDED[added] for added in await lists.add(workspace(), channel, entries)]

    known: list[suppression_pb2.Suppression | suppression_pb2.AllowedEntry] = [*items]
    return await change(
        known,
        read=lambda item, index: (Channel(item.target.channel), to_entry(item, f"{field}[{index}]")),
        act=act,
    )


async def _remove(lists: Lists, targets: Sequence[suppression_pb2.ListTarget]) -> list[suppression_pb2.EntryVerdict]:
    async def act(channel: Channel, known: Sequence[Target]) -> Sequence[int]:
        was = await lists.remove(workspace(), channel, known)
        return [Result.RESULT_REMOVED if each else Result.RESULT_NOT_LISTED for each in was]

    return await change(
        targets, read=lambda item, index: (Channel(item.channel), to_target(item, f"targets[{index}]")), act=act
    )


async def _page(
    lists: Lists,
    request: _List,
    fits: Callable[[Entry], bool],
    show: Callable[[Channel, Entry], ShownT],
) -> tuple[list[ShownT], str]:
    """A page of those that fit, and the token of the next."""
    asked = type(request).FromString(request.SerializeToString())
    asked.ClearField("page_token")
    asked.ClearField("page_size")
    bound = (request.DESCRIPTOR.name, workspace(), asked.SerializeToString(deterministic=True))
    position = read_token(request.page_token, tuple[Place], *bound)
    channel = Channel(request.channel)
    found, following = await lists.page(
        workspace(), channel, position[0] if position else BEGINNING, page_size(request.page_size)
    )
    shown = [show(channel, entry) for entry in found if fits(entry)]
    return shown, make_token((following,), *bound) if following else ""
