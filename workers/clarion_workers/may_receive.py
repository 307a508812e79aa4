"""Who of a batch may be sent to, asked after the claim; and what the attempts told of their addresses, told back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from clarion_core import logs
from clarion_core.domain.campaign import Category
from clarion_core.domain.channel import ChannelConfiguration
from clarion_core.domain.delivery import DeliveryState
from clarion_core.domain.medium import Channel
from clarion_core.domain.outcome import AddressFact, Outcome, PermanentFailure, TransientFailure
from clarion_core.domain.retry import Conclusion, clip
from clarion_core.domain.suppression import REASONS, Entry, Verdict, fact_of
from clarion_core.store.suppressions import AT_ONCE, Suppressions, Told
from clarion_core.store.triggers import StoredDelivery
from clarion_workers.channels.kind import Lookup

log = logs.get(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """A batch's deliveries: those that may be sent, and those that may not, with their ends."""

    may: Sequence[StoredDelivery]
    refused: Sequence[tuple[StoredDelivery, Conclusion]]


class MayReceive:
    """The lists as they concern one batch: of one workspace and channel.

    It asks once, so an entry holds for every batch that is claimed after it was made. What is heard is kept until
    `tell`, and told again where that failed.
    """

    def __init__(
        self, suppressions: Suppressions, *, workspace: str, channel: Channel, configuration: ChannelConfiguration
    ) -> None:
        self._suppressions, self._workspace, self._channel = suppressions, workspace, channel
        self._configuration = configuration
        self._counting: frozenset[str] = frozenset()  # deliveries to addresses that soft bounces are counted of
        self._untold: list[Told] = []
        self._own = ""  # the campaign's own endpoint, which is called where a recipient has none

    async def ask(self, deliveries: Sequence[StoredDelivery], category: Category, own: str = "") -> Sorted:
        """Which of the deliveries may be sent. One round trip; `StoreUnavailable` where nobody can say.

        `own` is where those go that have no address of their own: the campaign's endpoint.
        """
        self._own = own
        passes = self._configuration.pass_over_complaints and category is not Category.MARKETING
        verdicts = await self._suppressions.verdicts(
            self._workspace, self._channel, [self._address(each) for each in deliveries], pass_over_complaints=passes
        )
        both = list(zip(deliveries, verdicts, strict=True))
        self._counting = frozenset(delivery.id for delivery, verdict in both if verdict.counting)
        return Sorted(
            may=[delivery for delivery, verdict in both if verdict.may],
            refused=[(delivery, _refused(verdict)) for delivery, verdict in both if not verdict.may],
        )

    def hear(self, delivery: StoredDelivery, outcome: Outcome, provider: str) -> None:
        """Note what an outcome says of the delivery's address. A success is worth a word where it changes something."""
        fact = fact_of(outcome)
        if fact is None or (fact is AddressFact.TAKEN and delivery.id not in self._counting):
            return
        words = outcome.detail if isinstance(outcome, PermanentFailure | TransientFailure) else ""
        self._untold.append(Told(address=self._address(delivery), fact=fact, source=provider, comment=clip(words)))

    async def tell(self) -> None:
        """Tell the store what was heard; no round trip where that is nothing, as it is for most batches."""
        if not self._untold:
            return
        reasons = await self._suppressions.hear(
            self._workspace, self._channel, self._untold, soft_bounces=self._configuration.soft_bounces
        )
        for told, reason in zip(self._untold, reasons, strict=True):
            if reason:
                log.info("address_suppressed", channel=self._channel.value, reason=reason.name, provider=told.source)
        self._untold = []

    def _address(self, delivery: StoredDelivery) -> str:
        return delivery.recipient.addresses.get(self._channel.value) or self._own


def lookup(suppressions: Suppressions) -> Lookup:
    """Who may get copies, in a round trip for 500 addresses. Complaints always count: nobody waits for a copy."""

    async def may(workspace: str, addresses: Sequence[str]) -> list[bool]:
        found: list[bool] = []
        for at in range(0, len(addresses), AT_ONCE):
            verdicts = await suppressions.verdicts(workspace, Channel.EMAIL, addresses[at : at + AT_ONCE])
            found += [verdict.may for verdict in verdicts]
        return found

    return may


def _refused(verdict: Verdict) -> Conclusion:
    detail = _words(verdict.by) if verdict.by else "the allow list is active and does not name it"
    return Conclusion(state=DeliveryState.SUPPRESSED, reason=REASONS[verdict.kind], detail=detail)


def _words(entry: Entry) -> str:
    assert entry.reason is not None  # it is a suppression's
    until = f", until {_instant(entry.expire_ms)}" if entry.expire_ms else ""
    return f"{entry.reason.name} since {_instant(entry.create_ms)}{until}"


def _instant(ms: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ms // 1000))
