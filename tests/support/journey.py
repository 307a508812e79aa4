"""What a journey does besides starting processes: a campaign, calls in bulk, and the reckoning at the end.

The reckoning stands on three raw logs in the journey's directory, see `support.raw_logs`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from clarion.v1.campaign_pb2 import RetryPolicy
from clarion_client import Clarion, RetryConfig, connect
from support.clarion import a_campaign
from support.ledger_check import Report, check_logs
from support.processes import Process, Processes, address_of
from support.raw_logs import ACKNOWLEDGED, LEDGER, Acknowledged, Ledger, dump_ledger, read_ledger, write_acknowledged

CAMPAIGN = "journey"
PER_CALL = 100
# Nobody waits long: due times have a grain of a second.
QUICK = RetryPolicy(max_attempts=10, initial_backoff_s=1, max_backoff_s=1)


class Journey(Processes):
    """Processes, `client` for the server started last, and a memory of every call that was acknowledged."""

    def __init__(self, directory: Path, redis_program: Path | None = None) -> None:
        super().__init__(directory, redis_program)
        self.client: Clarion
        self.acknowledged: list[Acknowledged] = []
        self.replayed = 0  # calls whose request id had been accepted before
        self._clients = AsyncExitStack()
        self._log = self._clients.enter_context((directory / ACKNOWLEDGED).open("w", encoding="utf-8"))

    async def __aexit__(self, *_: object) -> None:
        try:
            await self._clients.aclose()
        finally:
            await super().__aexit__()

    async def server(self, **settings: object) -> Process:
        """A server, and `client` talks to it from now on."""
        process = await super().server(**settings)
        self.client = await self.client_of(process)
        return process

    async def client_of(self, server: Process, retry: RetryConfig | None = None, timeout_s: float = 30) -> Clarion:
        """A client of this server, patient unless told otherwise."""
        patient = RetryConfig(max_attempts=100, max_backoff_s=0.5)
        return await self._clients.enter_async_context(
            connect(address_of(server), timeout_s=timeout_s, retry=retry or patient)
        )

    async def campaign(self, campaign_id: str = CAMPAIGN, **fields: Any) -> None:
        """A campaign that can be triggered."""
        await self.client.create_campaign(campaign_id, a_campaign(**({"retry_policy": QUICK} | fields)))
        await self.client.activate_campaign(campaign_id)

    async def trigger(
        self, addresses: Sequence[str], client: Clarion | None = None, *, campaign: str = CAMPAIGN, **options: Any
    ) -> str:
        """One call; the trigger's name, which is remembered as acknowledged."""
        owed = {f"user-{index}": address for index, address in enumerate(addresses)}
        recipients = [{"user_id": user_id, "addresses": {"email": address}} for user_id, address in owed.items()]
        answer = await (client or self.client).create_trigger(campaign, recipients, **options)
        self.replayed += answer.replayed
        for refusal in answer.trigger.refusals:
            del owed[refusal.user_id]
        call = Acknowledged(answer.trigger.name, owed, time.monotonic())
        write_acknowledged(self._log, call)
        self.acknowledged.append(call)
        return answer.trigger.name

    async def trigger_all(self, addresses: Sequence[str]) -> list[str]:
        """Calls of 100 recipients, one after the other; the triggers' names."""
        slices = [addresses[at : at + PER_CALL] for at in range(0, len(addresses), PER_CALL)]
        return [await self.trigger(each) for each in slices]

    async def finished(self) -> None:
        """Wait until every recipient of every acknowledged trigger is accounted for, by the service's word."""
        await asyncio.gather(*(self._finished(call.trigger) for call in self.acknowledged))

    async def ledger(self) -> Ledger:
        """What the service says now."""
        await self.dump_ledger()
        return read_ledger(self.directory / LEDGER)

    async def _finished(self, name: str) -> None:
        async for _ in self.client.watch_trigger(name):
            continue

    async def report(self) -> Report:
        """Compare what was acknowledged, what arrived, and what the ledger says."""
        await self.dump_ledger()
        return check_logs(self.directory)

    async def dump_ledger(self) -> None:
        """Write down what the service says now."""
        await dump_ledger(self.client, (call.trigger for call in self.acknowledged), self.directory / LEDGER)
