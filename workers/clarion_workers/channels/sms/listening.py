"""What is done with what comes in: receipts become facts, answers stop and start messages or are helped."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from clarion_core import logs
from clarion_core.configuration.sms import TextingPart
from clarion_core.domain.bounce import BounceCategory
from clarion_core.domain.feedback import Fact, FactKind
from clarion_core.domain.keywords import Keyword, keyword_of
from clarion_core.domain.medium import Channel
from clarion_core.domain.outcome import Outcome, Sent
from clarion_core.domain.sms_text import segments
from clarion_workers.channels.sms.inbound import Fate, Hears, Inbound, Receipt
from clarion_workers.channels.sms.message import SmsMessage

HELPED_S = 3_600.0
"""A number is helped once in so long: two machines that answer each other would never end."""

# An SMSC that says no more than "undeliverable" has tried for as long as it was told: nothing arrives there for now.
_CATEGORIES: Mapping[Fate, BounceCategory] = {
    Fate.EXPIRED: BounceCategory.TIMEOUT,
    Fate.DELETED: BounceCategory.UNDETERMINED,
    Fate.UNDELIVERABLE: BounceCategory.SOFT,
    Fate.REJECTED: BounceCategory.POLICY,
}
_HELPED_MAX = 10_000

Send = Callable[[Sequence[SmsMessage]], Awaitable[list[Outcome]]]

log = logs.get(__name__)


class Listener:
    """The `Ears` of one provider of a channel. `send` is its own, `scope` what its name is unique within."""

    def __init__(self, hears: Hears, texting: TextingPart, provider: str, send: Send, *, scope: str = "") -> None:
        self._hears, self._texting, self._provider, self._send = hears, texting, provider, send
        self._known_as = f"{scope}/{provider}" if scope else provider
        self._known = texting.keywords.keywords()
        self._helped: dict[str, float] = {}  # by number, until when it is not helped again; the oldest first

    async def on_receipt(self, receipt: Receipt) -> None:
        """Note what became of a message; what says that it is still on its way is no fact."""
        fact = fact_of(receipt, self._provider)
        if fact:
            await self._hears.hear_sent_as(self._known_as, receipt.message_id, fact)

    async def on_inbound(self, inbound: Inbound) -> None:
        """Do what a keyword asks for; any other text is somebody else's to read."""
        workspaces = self._texting.workspaces
        match keyword_of(inbound.text, self._known):
            case Keyword.STOP:
                await self._hears.stop(workspaces, Channel.SMS, inbound.from_number, source=self._provider)
            case Keyword.START:
                await self._hears.start(workspaces, Channel.SMS, inbound.from_number)
            case Keyword.HELP if self._texting.keywords.help_text:
                await self._help(inbound, self._texting.keywords.help_text)
            case _:
                log.debug("text_not_understood", provider=self._provider)

    async def _help(self, inbound: Inbound, text: str) -> None:
        now = time.monotonic()
        while self._helped and (len(self._helped) > _HELPED_MAX or next(iter(self._helped.values())) <= now):
            del self._helped[next(iter(self._helped))]
        if inbound.from_number in self._helped:
            return
        self._helped[inbound.from_number] = now + HELPED_S
        answer = SmsMessage(
            delivery_id="help",
            sender=inbound.to_number,
            to_number=inbound.from_number,
            text=text,
            segments=segments(text),
        )
        [outcome] = await self._send([answer])
        if not isinstance(outcome, Sent):
            log.warning("help_not_sent", provider=self._provider, outcome=type(outcome).__name__)


def fact_of(receipt: Receipt, provider: str) -> Fact | None:
    """What a receipt says of a delivery. Its time is when it came: an SMSC's clock has no time zone."""
    if receipt.fate is Fate.DELIVERED:
        return Fact(kind=FactKind.DELIVERED, provider=provider)
    category = _CATEGORIES.get(receipt.fate)
    if category is None:
        return None
    return Fact(
        kind=FactKind.BOUNCED,
        provider=provider,
        category=category,
        code=receipt.error or receipt.fate.name,
        detail=receipt.fate.name,
    )
