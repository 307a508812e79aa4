"""Calls that are to have their effect once, however often they are sent with the same request id."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from google.protobuf.message import Message

from clarion_core.domain.errors import RequestIdReused
from clarion_core.store.keys import CONTROL
from clarion_core.store.records import fingerprint
from clarion_core.store.store import Store
from clarion_server.edge import workspace

AnswerT = TypeVar("AnswerT", bound=Message)


class Repeats:
    """Keeps answers by request id for 24 hours.

    For calls that do no harm when two of them with the same id race, or when one is cut off before its answer is kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def once(self, request: Any, kind: type[AnswerT], act: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
        """What `act` answers, or answered to the first call with this request id, then `replayed`.

        `RequestIdReused` where that asked for something else.
        """
        if not request.request_id:
            return await act()
        known = await self._seen(request, b"")
        if known is None:
            answer = await act()
            # A byte more than the answer: an empty one is an answer, too.
            known = await self._seen(request, b"." + answer.SerializeToString())
            if known is None:
                return answer
        first = kind.FromString(known)
        first.replayed = True  # type: ignore[attr-defined]  # every answer of a call with a request id has it
        return first

    async def _seen(self, request: Any, answer: bytes) -> bytes | None:
        found = await self._store.call(
            "request_seen",
            CONTROL,
            answer,
            request=f"{workspace()}:{request.request_id}",
            fingerprint=fingerprint((request.DESCRIPTOR.full_name, request.SerializeToString(deterministic=True))),
        )
        if not found:
            return None
        if found[0] == b"REUSED":
            raise RequestIdReused(request.request_id, "another call")
        return bytes(found[1][1:])
