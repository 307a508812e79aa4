"""The dead letters of DeliveryService: deliveries that ended FAILED or AMBIGUOUS, and what is done about them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypedDict, Unpack

import grpc.aio

from clarion.v1 import delivery_service_pb2 as pb
from clarion.v1.delivery_pb2 import Delivery
from clarion.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from clarion_client.connection import Caller
from clarion_client.names import campaign_name, delivery_name
from clarion_client.paging import all_pages
from clarion_client.values import new_request_id, to_timestamp

if TYPE_CHECKING:  # the generated module has the name for type checkers alone
    from clarion.v1.delivery_service_pb2_grpc import DeliveryServiceAsyncStub


class DeadLetterFilter(TypedDict, total=False):
    """Which dead letters of a campaign. All that is given must fit; nothing given: all of them."""

    deliveries: Iterable[str]
    """These, by name; 500 at most."""
    states: Iterable[Delivery.State.ValueType]
    """FAILED, AMBIGUOUS."""
    reasons: Iterable[Delivery.Reason.ValueType]
    """Why they ended."""
    provider: str
    """With whom the last attempt was."""
    from_time: datetime | None
    """Ended at or after this moment; aware."""
    until_time: datetime | None
    """Ended before this moment; aware."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redriven:
    """What became of a redrive: how many are sent again, and how many fit and were left alone.

    Left alone are those whose trigger was called off, or whose time is over.
    """

    redriven: int = 0
    skipped: int = 0


class DeadLetterCalls:
    """Dead letters: see them, send them again, or put them aside.

    A redrive and a discard are made in calls of 500 deliveries. One that an error ends in the middle can be repeated:
    what was redriven or discarded is no dead letter any more. With a `request_id` of the caller the repeat goes on with
    the same totals. `timeout_s` bounds each of the calls, and `progress` is told the totals after each.
    """

    def __init__(self, channel: grpc.aio.Channel, caller: Caller) -> None:
        self._dead_letters: DeliveryServiceAsyncStub = DeliveryServiceStub(channel)
        self._caller = caller

    def list_dead_letters(
        self,
        campaign: str,
        *,
        page_size: int = 0,
        timeout_s: float | None = None,
        **which: Unpack[DeadLetterFilter],
    ) -> AsyncIterator[Delivery]:
        """A campaign's deliveries that ended FAILED or AMBIGUOUS and were not discarded, up to now.

        The triggers that first failed come first. The limit holds for a page. ValueError where a time has no zone.
        """
        wanted = _filter(campaign, which)
        return all_pages(
            lambda token: self._caller.call(
                self._dead_letters.ListDeadLetters,
                pb.ListDeadLettersRequest(filter=wanted, page_size=page_size, page_token=token),
                timeout_s,
            ),
            lambda page: page.deliveries,
        )

    async def redrive_dead_letters(
        self,
        campaign: str,
        *,
        validate_only: bool = False,
        request_id: str = "",
        progress: Callable[[Redriven], None] | None = None,
        timeout_s: float | None = None,
        **which: Unpack[DeadLetterFilter],
    ) -> Redriven:
        """Send dead letters again: same delivery, same Message-ID, same campaign revision, attempts counted anew.

        An AMBIGUOUS one may have arrived the first time: its recipient may see the message twice. `validate_only`
        counts and changes nothing. FailedPrecondition where the campaign is not LIVE or PAUSED; NotFound;
        InvalidArgument where a delivery is another campaign's. ValueError where a time has no zone.
        """
        wanted, base, token, total = _filter(campaign, which), request_id or new_request_id(), "", Redriven()
        while True:
            request = pb.RedriveDeadLettersRequest(
                filter=wanted,
                validate_only=validate_only,
                page_token=token,
                request_id="" if validate_only else _page_request_id(base, token),
            )
            page = await self._caller.call(self._dead_letters.RedriveDeadLetters, request, timeout_s)
            total = Redriven(redriven=total.redriven + page.redriven, skipped=total.skipped + page.skipped)
            if progress:
                progress(total)
            token = page.next_page_token
            if not token:
                return total

    async def discard_dead_letters(
        self,
        campaign: str,
        *,
        reason: str,
        validate_only: bool = False,
        request_id: str = "",
        progress: Callable[[int], None] | None = None,
        timeout_s: float | None = None,
        **which: Unpack[DeadLetterFilter],
    ) -> int:
        """Take dead letters out of the list; how many. Their state stays, and the reason (1 to 200 characters) too.

        `validate_only` counts and changes nothing. InvalidArgument where a delivery is another campaign's. ValueError
        where a time has no zone.
        """
        wanted, base, token, total = _filter(campaign, which), request_id or new_request_id(), "", 0
        while True:
            request = pb.DiscardDeadLettersRequest(
                filter=wanted,
                reason=reason,
                validate_only=validate_only,
                page_token=token,
                request_id="" if validate_only else _page_request_id(base, token),
            )
            page = await self._caller.call(self._dead_letters.DiscardDeadLetters, request, timeout_s)
            total += page.discarded
            if progress:
                progress(total)
            token = page.next_page_token
            if not token:
                return total


def _filter(campaign: str, which: DeadLetterFilter) -> pb.DeadLetterFilter:
    return pb.DeadLetterFilter(
        campaign=campaign_name(campaign),
        deliveries=[delivery_name(each) for each in which.get("deliveries", ())],
        states=which.get("states", ()),
        reasons=which.get("reasons", ()),
        provider=which.get("provider", ""),
        from_time=to_timestamp(which.get("from_time"), "from_time"),
        until_time=to_timestamp(which.get("until_time"), "until_time"),
    )


def _page_request_id(base: str, token: str) -> str:
    """A page's own request id: the same whenever the same page is asked for under the same base."""
    return str(uuid.uuid5(uuid.UUID(base), token)) if token else base
