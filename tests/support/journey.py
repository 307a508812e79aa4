"""What a journey does besides starting processes: a campaign, calls in bulk, and the reckoning at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from clarion.v1.campaign_pb2 import RetryPolicy
from clarion_client import Clarion, RetryConfig, connect
from support.clarion import a_campaign
from support.ledger_check import Acknowledged, Report, check, read_ledger
from support.processes import Process, Processes, address_of

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

    async def client_of(self, server: Process, retry: RetryConfig | None = None) -> Clarion:
        """A client of this server, patient unless told otherwise."""
        patient = RetryConfig(max_attempts=100, max_backoff_s=0.5)
        return await self._clients.enter_async_context(
            connect(address_of(server), timeout_s=30, retry=retry or patient)
        )

    async def campaign(self, **fields: Any) -> None:
        """The campaign that is triggered."""
        await self.client.create_campaign(CAMPAIGN, a_campaign(**({"retry_policy": QUICK} | fields)))
        await self.client.activate_campaign(CAMPAIGN)

    async def trigger(self, addresses: Sequence[str], client: Clarion | None = None, **options: Any) -> str:
        """One call; the trigger's name, which is remembered as acknowledged."""
        owed = {f"user-{index}": address for index, address in enumerate(addresses)}
        recipients = [{"user_id": user_id, "addresses": {"email": address}} for user_id, address in owed.items()]
        answer = await (client or self.client).create_trigger(CAMPAIGN, recipients, **options)
        self.replayed += answer.replayed
        for refusal in answer.trigger.refusals:
            del owed[refusal.user_id]
        self.acknowledged.append(Acknowledged(answer.trigger.name, owed))
        return answer.trigger.name

    async def trigger_all(self, addresses: Sequence[str]) -> list[str]:
        """Calls of 100 recipients, one after the other; the triggers' names."""
        slices = [addresses[at : at + PER_CALL] for at in range(0, len(addresses), PER_CALL)]
        return [await self.trigger(each) for each in slices]

    async def finished(self) -> None:
        """Wait until every recipient of every acknowledged trigger is accounted for, by the service's word."""
        await asyncio.gather(*(self._finished(call.trigger) for call in self.acknowledged))

    async def _finished(self, name: str) -> None:
        async for _ in self.client.watch_trigger(name):
            continue

    async def report(self) -> Report:
        """Compare what was acknowledged, what arrived, and what the ledger says."""
        ledger = await read_ledger(self.client, self.acknowledged)
        return check(self.acknowledged, self.sink.taken(), ledger)
