"""Seeds: addresses of the sender's own that see what a campaign sends: one copy of each revision, by a configuration.

The first worker that comes to send a revision by a configuration with seeds sends it, rendered with the profile they
share and the context of the first delivery at hand. They are copies: they act for nobody, are in no account, and are
held against the lists. At most once: whoever wins the mark and dies sends none. Whatever goes wrong is logged and
counted, and concerns no recipient.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from msgspec import structs

from clarion_core import logs, tasks
from clarion_core.content.types import packed
from clarion_core.domain.channel import Seeds
from clarion_core.domain.errors import ClarionError
from clarion_core.store.batches import Claim
from clarion_core.store.campaigns import CampaignStore
from clarion_workers.channels.email import EmailMessage
from clarion_workers.channels.email.copies import Copying, Counts
from clarion_workers.channels.email.message import Copy
from clarion_workers.channels.email.neutral import neutral
from clarion_workers.messages import Composer, Unready
from clarion_workers.providers import Route, Router

USER_ID = "seed"
_REMEMBERED = 10_000  # revisions that this worker need not ask about
_END_S = 10.0  # what is being rendered gets when the worker ends

log = logs.get(__name__)


class Seeding:
    """Sends seeds their copies. `counts` learns how each ended, as those of copies do."""

    def __init__(self, campaigns: CampaignStore, composer: Composer, counts: Counts) -> None:
        self._campaigns, self._composer, self._counts = campaigns, composer, counts
        self._known: set[tuple[str, int, str]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, router: Router, claim: Claim, route: Route) -> None:
        """See to the seeds of what a batch leaves by, beside its delivery; it costs nothing where there are none."""
        seeds, channel = router.configuration.seeds, router.channels[route.provider.name]
        sending = (claim.campaign, claim.revision, claim.ref.configuration)
        if seeds is None or sending in self._known or not isinstance(channel, Copying):
            return
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known.add(sending)
        task = asyncio.create_task(self._send(seeds, channel, claim))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Have what was begun handed to its channel, which sees to the rest; ten seconds at most."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_END_S)
            await tasks.end(late)

    async def _send(self, seeds: Seeds, channel: Copying, claim: Claim) -> None:
        sending = (claim.campaign, claim.revision, claim.ref.configuration)
        try:
            if not await self._campaigns.seed(*sending):
                return
            channel.post(await self._messages(seeds, claim), self._counts)
        except ClarionError as error:
            self._known.discard(sending)  # if the mark is still to be won, the next batch tries
            log.warning("seeds_not_sent", campaign=claim.campaign, reason=error.reason)
        except Exception:
            log.exception("seeds_failed", campaign=claim.campaign)

    async def _messages(self, seeds: Seeds, claim: Claim) -> Sequence[EmailMessage]:
        """One for each seed, from one rendering: as if its first address had been a recipient."""
        first = claim.deliveries[0]
        recipient = structs.replace(
            first.recipient,
            user_id=USER_ID,
            addresses={"email": seeds.addresses[0]},
            profile=packed(seeds.profile),
        )
        [made] = await self._composer.compose(claim, [structs.replace(first, recipient=recipient)])
        if isinstance(made, Unready):
            self._counts.update(["failed"] * len(seeds.addresses))
            log.warning("seeds_not_rendered", campaign=claim.campaign, detail=made.conclusion.detail)
            return []
        assert isinstance(made.message, EmailMessage)
        shared = neutral(made.message)
        return [
            structs.replace(
                shared, to_address=address, cc=(), bcc=(), copy=Copy(kind="seed", number=number, address=address)
            )
            for number, address in enumerate(seeds.addresses, 1)
        ]
