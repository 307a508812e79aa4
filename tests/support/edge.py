"""The public door in the test's own process, on real ports, with deliveries that it can be told of."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp

from clarion_core import verp
from clarion_core.domain.feedback import Fact
from clarion_core.domain.medium import Channel
from clarion_core.domain.suppression import SuppressionReason
from clarion_core.settings import EdgeSettings
from clarion_core.store.suppressions import Suppressions
from clarion_core.store.triggers import StoredDelivery
from clarion_edge.app import Edge
from support.records import Records, deliver

SECRET = "a secret of the tests, 4711"
BOUNCES = "bounces.shop.test"
PUBLIC = "https://edge.shop.test"


class Door:
    """A running edge, and the store it writes to."""

    def __init__(self, records: Records, redis_url: str, directory: Path) -> None:
        self.records = records
        self._redis_url, self._directory = redis_url, directory
        self._stack = AsyncExitStack()
        self._trigger = ""

    async def __aenter__(self) -> Door:
        self.http = await self._stack.enter_async_context(aiohttp.ClientSession())
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._stack.aclose()

    async def open(self, receipts: str, *, resolver: Any = None, **settings: Any) -> Edge:
        """Start it with this receipts file."""
        file = self._directory / "receipts.yaml"
        file.write_text(receipts)
        values = {"redis_url": self._redis_url, "edge_listen": "127.0.0.1:0", "public_url": PUBLIC, "receipts": file}
        self.edge = Edge(EdgeSettings(**(values | {"drain_s": 1.0} | settings)), resolver)
        await self.edge.start()
        self._stack.push_async_callback(self.edge.stop)
        return self.edge

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.edge.port}"

    async def post(self, path: str, body: bytes | str = b"", **headers: str) -> int:
        """The status that a request is answered with."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http.post(f"{self.url}{path}", data=body, headers=named) as answer:
            return answer.status

    async def sent(self, count: int = 1, **definition: Any) -> list[str]:
        """Ids of deliveries that are SENT, of one trigger of a campaign that says this."""
        await self.records.campaign(**definition)
        self._trigger = await self.records.trigger(count)
        claim = await self.records.claim()
        await deliver(self.records.worker(), claim)
        return [each.id for each in claim.deliveries]

    async def deliveries(self) -> Sequence[StoredDelivery]:
        """The deliveries that `sent` made, as they are stored now."""
        place = (await self.records.get(self._trigger)).placement
        return await self.records.triggers.deliveries(self._trigger, place, 0, 500)

    async def facts(self, index: int = 0) -> tuple[Fact, ...]:
        """What is known of one of them."""
        return (await self.deliveries())[index].facts

    async def suppressed(self, address: str = "user-0@example.com", channel: Channel = Channel.EMAIL) -> Any:
        """Why an address is suppressed, or None."""
        [verdict] = await Suppressions(self.records.store).verdicts("default", channel, [address])
        reason: SuppressionReason | None = verdict.by.reason if verdict.by else None
        return reason

    async def counted(self, name: str, **labels: str) -> int:
        """A count of the process."""
        for family in await self.edge._tally.read():
            for sample in family.samples:
                if sample.name == f"{name}_total" and sample.labels == labels:
                    return int(sample.value)
        return 0

    def bounce_address(self, delivery: str) -> str:
        """The address that mail about a delivery comes back to."""
        return verp.encode(delivery, BOUNCES, SECRET.encode())
