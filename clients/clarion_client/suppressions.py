"""SuppressionService, one method per RPC."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import TYPE_CHECKING

import grpc.aio

from clarion.v1 import suppression_service_pb2 as pb
from clarion.v1.suppression_pb2 import AddressVerdict, AllowedEntry, AllowList, EntryVerdict, ListTarget, Suppression
from clarion.v1.suppression_service_pb2_grpc import SuppressionServiceStub
from clarion_client.connection import Caller
from clarion_client.paging import all_pages
from clarion_client.values import new_request_id, to_timestamp

if TYPE_CHECKING:  # the generated module has the name for type checkers alone
    from clarion.v1.suppression_service_pb2_grpc import SuppressionServiceAsyncStub


def list_target(channel: str, text: str) -> ListTarget:
    """What an entry of a list names: `ada@example.com` an address, `@example.com` and `@*.example.com` a domain."""
    if text.startswith("@"):
        return ListTarget(channel=channel, domain=text[1:])
    return ListTarget(channel=channel, address=text)


class SuppressionCalls:
    """Whom not to send to, and whom alone to send to: a list of each for every channel, in force at once.

    What adds or removes takes 1 to 1,000 items and gives a verdict for each, in order; an item that can't be right is
    refused, and does not keep the others from their list. InvalidArgument where all are.
    """

    def __init__(self, channel: grpc.aio.Channel, caller: Caller) -> None:
        self._suppressions: SuppressionServiceAsyncStub = SuppressionServiceStub(channel)
        self._caller = caller

    async def add_suppressions(
        self,
        suppressions: Iterable[Suppression],
        *,
        validate_only: bool = False,
        request_id: str = "",
        timeout_s: float | None = None,
    ) -> list[EntryVerdict]:
        """Send no more to these addresses and domains. `validate_only` says what is wrong, and changes nothing."""
        request = pb.AddSuppressionsRequest(
            suppressions=suppressions,
            validate_only=validate_only,
            request_id="" if validate_only else request_id or new_request_id(),
        )
        return list((await self._caller.call(self._suppressions.AddSuppressions, request, timeout_s)).verdicts)

    async def remove_suppressions(
        self, targets: Iterable[ListTarget], *, request_id: str = "", timeout_s: float | None = None
    ) -> list[EntryVerdict]:
        """Send to these addresses and domains again."""
        request = pb.RemoveSuppressionsRequest(targets=targets, request_id=request_id or new_request_id())
        return list((await self._caller.call(self._suppressions.RemoveSuppressions, request, timeout_s)).verdicts)

    async def check_addresses(
        self,
        channel: str,
        addresses: Iterable[str],
        *,
        pass_over_complaints: bool = False,
        timeout_s: float | None = None,
    ) -> list[AddressVerdict]:
        """Whether each of 1 to 500 addresses would be sent to now, and why not. InvalidArgument."""
        request = pb.CheckAddressesRequest(
            channel=channel, addresses=addresses, pass_over_complaints=pass_over_complaints
        )
        return list((await self._caller.call(self._suppressions.CheckAddresses, request, timeout_s)).verdicts)

    def list_suppressions(
        self,
        channel: str,
        *,
        reasons: Iterable[Suppression.Reason.ValueType] = (),
        source: str = "",
        prefix: str = "",
        from_time: datetime | None = None,
        page_size: int = 0,
        timeout_s: float | None = None,
    ) -> AsyncIterator[Suppression]:
        """Every suppression of a channel that fits, in the list's own order. The limit holds for a page.

        ValueError where a time has no zone.
        """
        request = pb.ListSuppressionsRequest(
            channel=channel,
            reasons=reasons,
            source=source,
            prefix=prefix,
            from_time=to_timestamp(from_time, "from_time"),
            page_size=page_size,
        )

        async def fetch(token: str) -> pb.ListSuppressionsResponse:
            request.page_token = token
            return await self._caller.call(self._suppressions.ListSuppressions, request, timeout_s)

        return all_pages(fetch, lambda page: page.suppressions)

    async def get_allow_list(self, channel: str, *, timeout_s: float | None = None) -> AllowList:
        """Whether a channel's allow list is active, and how long it is."""
        request = pb.GetAllowListRequest(channel=channel)
        return (await self._caller.call(self._suppressions.GetAllowList, request, timeout_s)).allow_list

    async def set_allow_list_active(
        self, channel: str, *, active: bool, request_id: str = "", timeout_s: float | None = None
    ) -> AllowList:
        """Have a channel's allow list hold, or not. Active and empty, nothing is sent."""
        request = pb.SetAllowListActiveRequest(
            channel=channel, active=active, request_id=request_id or new_request_id()
        )
        return (await self._caller.call(self._suppressions.SetAllowListActive, request, timeout_s)).allow_list

    async def add_allowed(
        self,
        entries: Iterable[AllowedEntry],
        *,
        validate_only: bool = False,
        request_id: str = "",
        timeout_s: float | None = None,
    ) -> list[EntryVerdict]:
        """Let these addresses and domains through. `validate_only` as in `add_suppressions`."""
        request = pb.AddAllowedRequest(
            entries=entries,
            validate_only=validate_only,
            request_id="" if validate_only else request_id or new_request_id(),
        )
        return list((await self._caller.call(self._suppressions.AddAllowed, request, timeout_s)).verdicts)

    async def remove_allowed(
        self, targets: Iterable[ListTarget], *, request_id: str = "", timeout_s: float | None = None
    ) -> list[EntryVerdict]:
        """Let these addresses and domains through no more."""
        request = pb.RemoveAllowedRequest(targets=targets, request_id=request_id or new_request_id())
        return list((await self._caller.call(self._suppressions.RemoveAllowed, request, timeout_s)).verdicts)

    def list_allowed(
        self, channel: str, *, prefix: str = "", page_size: int = 0, timeout_s: float | None = None
    ) -> AsyncIterator[AllowedEntry]:
        """Every entry of a channel's allow list that fits, in the list's own order. The limit holds for a page."""
        return all_pages(
            lambda token: self._caller.call(
                self._suppressions.ListAllowed,
                pb.ListAllowedRequest(channel=channel, prefix=prefix, page_size=page_size, page_token=token),
                timeout_s,
            ),
            lambda page: page.entries,
        )
