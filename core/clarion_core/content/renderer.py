"""Renders messages and looks into templates, in child processes: whatever a template does, it does not do it here.

Work is given to one child in batches, ahead of its answers. Should the child end, the work it had begun is suspect and
is done again one by one, in another child beside it, while everything else goes on in a new one. What reaches a limit
as the first work of a child, and alone, has itself to blame: that is the only verdict there is, so nobody fails for
what somebody else's data do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

from clarion_core import logs
from clarion_core.content import check
from clarion_core.content.process import ChildEnded, RenderProcess
from clarion_core.content.types import (
    Packed,
    Rendered,
    RenderFailure,
    RenderRequest,
    Revision,
    TemplateCheck,
    TemplateProblem,
)
from clarion_core.content.wire import Limits
from clarion_core.domain.campaign import Definition
from clarion_core.domain.medium import Channel
from clarion_core.settings import CoreSettings

_BATCH = 50  # messages a frame
_BATCH_SIZE = 1024 * 1024  # bytes of data a frame, but for a single message
_DEATHS = 3  # of children in a row that had nothing but this to do, where no limit was reached: then it is to blame too
_PAUSE_S, _PAUSE_MAX_S = 0.1, 5.0  # between two tries to start a child

AnswerT = TypeVar("AnswerT")
log = logs.get(__name__)


class Renderer:
    """Has messages rendered and templates checked. `start` at once or with the first work; `close` at the end."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._child: RenderProcess | None = None
        self._starting = asyncio.Lock()
        self._aside: RenderProcess | None = None  # where suspects are worked on
        self._turn = asyncio.Lock()
        self._suspecting = 0

    @classmethod
    def from_settings(cls, settings: CoreSettings) -> Renderer:
        """A renderer with the limits that the settings say."""
        limits = Limits(render_s=settings.render_s, compile_s=settings.compile_s, memory_mib=settings.render_memory_mib)
        return cls(limits)

    async def start(self) -> None:
        """Have a child ready, so that the first work finds one."""
        await self._ready_child()

    async def render(
        self, revision: Revision, channel: Channel, requests: Sequence[RenderRequest[Packed]]
    ) -> list[Rendered]:
        """What a revision says on a channel: one result a request, in order.

        What goes wrong for one recipient is that recipient's `RenderFailure`.
        """
        batches = await asyncio.gather(*(self._render_batch(revision, channel, batch) for batch in _batches(requests)))
        return [rendered for batch in batches for rendered in batch]

    async def check(self, definition: Definition, path: str) -> list[TemplateProblem]:
        """All problems of a definition's contents, none if it can be sent; at most 20 a template.

        `path` is where the contents stand in the request, like `campaign.contents`. A template that can't be looked
        into within the limits has that for a problem.
        """
        found = await asyncio.gather(*(self._check(template) for template in check.templates(definition, path)))
        return [*check.outside_problems(definition, path), *(problem for each in found for problem in each)]

    async def close(self) -> None:
        """End the children. What is still in hand raises."""
        for child in (self._child, self._aside):
            if child is not None:
                await child.end()

    async def _render_batch(
        self, revision: Revision, channel: Channel, requests: Sequence[RenderRequest[Packed]]
    ) -> list[Rendered]:
        whole = partial(RenderProcess.render, revision=revision, channel=channel, requests=requests)
        try:
            return await self._together(whole)
        except ChildEnded as ended:
            log.warning("render_child_ended", revision=revision.key, channel=channel.value, why=str(ended))
            rendered = [answer for answer in ended.answers if isinstance(answer, Rendered)]
        async with self._beside():
            for request in requests[len(rendered) :]:
                one = partial(RenderProcess.render_alone, revision=revision, channel=channel, request=request)
                try:
                    rendered += await self._alone(one)
                except ChildEnded as verdict:
                    rendered.append(RenderFailure(detail=str(verdict)))
        return rendered

    async def _check(self, template: TemplateCheck) -> list[TemplateProblem]:
        look = partial(RenderProcess.check, template=template)
        try:
            return await self._together(look)
        except ChildEnded as ended:
            log.warning("render_child_ended", template=template.path, why=str(ended))
        async with self._beside():
            try:
                return await self._alone(look)
            except ChildEnded as verdict:
                return [TemplateProblem(path=template.path, line=1, column=1, message=verdict.what)]

    async def _together(self, work: Callable[[RenderProcess], Awaitable[AnswerT]]) -> AnswerT:
        """Work among other work; `ChildEnded` if the child ended in the midst of it."""
        while True:
            child = await self._ready_child()
            try:
                return await work(child)
            except ChildEnded as ended:
                if ended.begun:
                    raise

    async def _alone(self, work: Callable[[RenderProcess], Awaitable[AnswerT]]) -> AnswerT:
        """Work that is suspect; `ChildEnded` if it is to blame."""
        async with self._turn:
            deaths = 0
            while True:
                if self._aside is None or not self._aside.runs:
                    self._aside = await self._new_child()
                child, is_fresh = self._aside, self._aside.fresh
                try:
                    return await work(child)
                except ChildEnded as ended:
                    deaths += 1
                    if (ended.limit and is_fresh) or deaths == _DEATHS:
                        raise
                except asyncio.CancelledError:
                    child.kill()  # the next would not be alone with it
                    raise

    @asynccontextmanager
    async def _beside(self) -> AsyncIterator[None]:
        """While somebody is suspect, there may be a child beside the one for all."""
        self._suspecting += 1
        try:
            yield
        finally:
            self._suspecting -= 1
            if not self._suspecting and self._aside is not None:
                aside, self._aside = self._aside, None
                await aside.end()

    async def _ready_child(self) -> RenderProcess:
        if self._child is not None and self._child.runs:
            return self._child
        async with self._starting:
            if self._child is None or not self._child.runs:
                self._child = await self._new_child()
            return self._child

    async def _new_child(self) -> RenderProcess:
        """A child that is there. A machine that has no room for one is waited for: it fails nobody."""
        pause_s = _PAUSE_S
        while True:
            try:
                return await RenderProcess.start(self._limits)
            except (OSError, ChildEnded) as error:
                log.warning("render_child_not_started", why=str(error))
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _PAUSE_MAX_S)


def _batches(requests: Sequence[RenderRequest[Packed]]) -> Iterator[list[RenderRequest[Packed]]]:
    batch: list[RenderRequest[Packed]] = []
    size = 0
    for request in requests:
        grows = len(request.profile) + len(request.context)
        if not batch or request.shared is not batch[-1].shared:
            grows += len(request.shared)
        if batch and (len(batch) == _BATCH or size + grows > _BATCH_SIZE):
            yield batch
            batch, size = [], 0
        batch.append(request)
        size += grows
    if batch:
        yield batch
