"""The delivery step by itself: claims, renders and sends for real, run job by job by the test."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

from clarion_core.content.renderer import Renderer
from clarion_core.domain.campaign import Campaign
from clarion_core.domain.channel import ChannelConfiguration, Provider
from clarion_core.domain.content import EmailContent
from clarion_core.domain.medium import Medium
from clarion_core.domain.outcome import Ambiguous, Outcome
from clarion_core.settings import WorkerSettings
from clarion_core.store.batches import BatchRef, BatchStore
from clarion_core.store.breakers import Breakers
from clarion_core.store.suppressions import Suppressions
from clarion_workers import run
from clarion_workers.channels import CutOff, Found
from clarion_workers.channels.email import EmailChannel, EmailMessage, SmtpConfig
from clarion_workers.deliver import Deliverer
from clarion_workers.leases import Leases
from clarion_workers.messages import Composer
from clarion_workers.providers import Router
from clarion_workers.revisions import Revisions
from clarion_workers.routers import Opened, Routers
from clarion_workers.seeds import Seeding
from clarion_workers.windows import AllWindows
from support.records import LANE, Records

EMAIL = EmailContent(
    sender="Shop <shop@example.com>", subject="Hello {{ recipient.user_id }}", text="Welcome, {{ recipient.user_id }}."
)


EMAIL_CHANNEL = ChannelConfiguration(channel="email", providers=(Provider(name="smtp"),))


class Gate:
    """The real channel behind a gate: what is handed over waits at it, while it is shut, like at a slow provider."""

    def __init__(self, channel: EmailChannel) -> None:
        self._channel = channel
        self.asked = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.windows: list[int] = []

    def shut(self) -> None:
        """Let nothing through; `asked` is set once something waits."""
        self.open.clear()
        self.asked.clear()

    async def send(self, messages: Sequence[EmailMessage]) -> list[Outcome]:
        """As `Channel.send`."""
        self.windows.append(len(messages))
        self.asked.set()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            raise CutOff([Ambiguous(detail="cut off at the gate")] * len(messages)) from None
        return await self._channel.send(messages)

    async def check(self) -> Found:
        """As `Channel.check`."""
        return await self._channel.check()

    async def close(self) -> None:
        """As `Channel.close`."""
        await self._channel.close()


class Post:
    """A worker without a queue: `run` is what its job does."""

    def __init__(
        self,
        records: Records,
        smtp_port: int,
        *,
        window: int = 20,
        lease_s: float = 60.0,
        batches: BatchStore | None = None,
        router: Router | None = None,
        suppressions: Suppressions | None = None,
    ) -> None:
        batches = batches or records.worker("post", round(1000 * lease_s))
        self.draining = asyncio.Event()
        self.leases = Leases(batches, 1, lease_s)
        self.windows = AllWindows(window, [LANE])
        config = SmtpConfig(host="127.0.0.1", port=smtp_port, message_id_domain="example.com", timeout_s=5.0)
        self.renderer = Renderer.from_settings(WorkerSettings())
        self.gate = Gate(EmailChannel(config))
        self.router = router or Router(EMAIL_CHANNEL, {"smtp": self.gate}, Breakers(records.store, channel="email"))
        composer = Composer(Revisions(records.campaigns), self.renderer)
        self.seeds = Counter[str]()
        self.seeding = Seeding(records.campaigns, composer, self.seeds)
        post = run.Post(
            lane=LANE,
            batches=batches,
            leases=self.leases,
            composer=composer,
            suppressions=suppressions or Suppressions(records.store),
            windows=self.windows,
            draining=self.draining,
            seeding=self.seeding,
        )
        self._deliverer = Deliverer(post, Routers({"email": Opened(version=0, routers={Medium.EMAIL: self.router})}))

    async def run(self, ref: BatchRef) -> None:
        """Run a job to its end."""
        await self._deliverer.job({}, str(ref.shard), ref.via, ref.id, ref.epoch)

    async def close(self) -> None:
        """Let go of the renderer and the connections."""
        await self.seeding.close()
        await self.renderer.close()
        await self.gate.close()

    def start(self, ref: BatchRef) -> asyncio.Task[None]:
        """Run a job in a task."""
        return asyncio.create_task(self.run(ref))


async def email_campaign(records: Records, **definition: Any) -> Campaign:
    """A LIVE campaign that can be sent."""
    return await records.campaign(**({"email": EMAIL} | definition))
