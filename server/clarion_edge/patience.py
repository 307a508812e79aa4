"""HTTP as uvicorn speaks it, but for those who never come to the point.

uvicorn bounds how long a connection is silent between two requests, and nothing else: who sends a letter now and then,
or nothing at all, would keep a connection for good, and a thousand of them everybody else out.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

REQUEST_S = 15.0
"""How long a connection may take for a request's head, from its beginning or the last answer on."""


class Impatient(H11Protocol):
    """Drops connections on which no request comes in time, whatever else comes."""

    _too_late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin (asyncio)."""
        super().connection_made(transport)
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """End (asyncio)."""
        self._stop_waiting()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """A request whose head is there is answered, or refused, in its own time (uvicorn)."""
        super().handle_events()
        under_way: RequestResponseCycle | None = self.cycle  # None before the first request
        if under_way is not None and not under_way.response_complete:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """The next one is awaited (uvicorn)."""
        self._await_request()
        super().on_response_complete()

    def _await_request(self) -> None:
        self._stop_waiting()
        self._too_late = self.loop.call_later(REQUEST_S, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._too_late:
            self._too_late.cancel()
            self._too_late = None
