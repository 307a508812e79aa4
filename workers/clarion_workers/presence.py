"""A worker shows itself: a sign of life every second, and what it is told in answer.

It may be told to end, as SIGTERM would, and which lanes to leave alone. What it was told last holds while the store is
away.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Sequence

from clarion_core import logs
from clarion_core.domain.errors import ClarionError
from clarion_core.domain.worker import Identity, Load
from clarion_core.store.workers import Commands, WorkerStore
from clarion_workers.lanes import Lanes

BEAT_S = 1.0
ANSWER_S = 2.0  # a connection that died without a word must not cost signs of life
FAREWELL_S = 1.0

log = logs.get(__name__)


def identity_of_this_process(lanes: Sequence[str]) -> Identity:
    """Who this is. The id goes into resource names, so it holds only what may stand there."""
    host = socket.gethostname()
    word = re.sub(r"[^A-Za-z0-9.]+", "-", host).strip("-.") or "host"
    return Identity(
        id=f"{word[:64]}-{os.getpid()}-{secrets.token_hex(3)}",
        host=host,
        pid=os.getpid(),
        version=importlib.metadata.version("clarion"),
        lanes=tuple(lanes),
    )


class Presence:
    """Gives signs of life, and follows commands. `told_to_end` is set when this worker is to drain and end."""

    def __init__(
        self,
        workers: WorkerStore,
        identity: Identity,
        *,
        load: Callable[[], Load],
        lanes: Lanes,
        told_to_end: asyncio.Event,
        draining: asyncio.Event,
    ) -> None:
        self._workers, self._identity, self._load, self._lanes = workers, identity, load, lanes
        self._told_to_end, self._draining = told_to_end, draining
        self._start_ms = time.time_ns() // 1_000_000
        self._is_known = False

    async def beat(self) -> None:
        """Give one sign of life and follow what is answered."""
        commands = await self._workers.heartbeat(
            self._identity, self._load(), start_ms=self._start_ms, draining=self._draining.is_set()
        )
        self._is_known = True
        self._follow(commands)

    async def keep(self) -> None:
        """Give signs of life until cancelled. A store that is away is said once."""
        away = False
        while True:
            try:
                async with asyncio.timeout(ANSWER_S):
                    await self.beat()
                away = False
            except (ClarionError, TimeoutError) as error:
                if not away:
                    log.warning("heartbeat_failed", error=type(error).__name__)
                away = True
            await asyncio.sleep(BEAT_S)

    async def leave(self) -> None:
        """Say goodbye. Where the store does not hear it, this worker is forgotten by itself."""
        if not self._is_known:
            return
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._workers.farewell(self._identity.id)
        except (ClarionError, TimeoutError) as error:
            log.warning("farewell_failed", error=type(error).__name__)

    def _follow(self, commands: Commands) -> None:
        self._lanes.pause(commands.paused)
        if commands.drain and not self._told_to_end.is_set():
            log.info("told_to_drain", worker=self._identity.id)
            self._told_to_end.set()
