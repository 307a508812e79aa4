"""One child that renders, seen from its parent: started, given work, watched, ended. `renderer` says what to give."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import msgspec

from clarion_core.content.types import (
    TOO_LARGE,
    LimitReached,
    Packed,
    Rendered,
    RenderedTexts,
    RenderFailure,
    RenderRequest,
    Revision,
    TemplateCheck,
    TemplateProblem,
)
from clarion_core.content.wire import (
    LENGTH,
    MESSAGE,
    OUT_OF_MEMORY,
    Begun,
    Check,
    Checked,
    Limits,
    Render,
    Row,
    Said,
    decode_said,
    frame,
)
from clarion_core.domain.medium import Channel

KEPT = 256
"""Contents that a child keeps compiled: a revision's on one channel."""

_COMMAND = (sys.executable, "-P", "-s", "-m", "clarion_core.content.child")
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "TZ")  # of the environment, which may hold secrets: what Python itself needs
_START_S = 30.0
# A child stops itself by CPU time. One that says nothing for this many times its limit has none: it is stopped, or the
# machine stands still.
_STARVED = 10
_LONGEST_FRAME = 64 * 1024 * 1024  # twice what a child sends: one mail of the longest texts
_SOMEWHERE = Begun(template=MESSAGE, compiling=False)


class ChildEnded(Exception):
    """The child ended with work in hand. `answers` are those it still gave.

    `begun`: it had begun this work, so what is not answered is suspect. `limit`: it ended because a limit was reached.
    `place` and `what` say where and why.
    """

    def __init__(self, answers: Sequence[Said] = (), *, begun: bool, limit: bool, place: str, what: str) -> None:
        super().__init__(f"{place}: {what}")
        self.answers, self.begun, self.limit, self.place, self.what = answers, begun, limit, place, what


@dataclass(slots=True)
class _Work:
    """A frame that the child has, and what it said to it."""

    count: int
    kinds: tuple[type, ...]  # of answers
    done: asyncio.Future[list[Said]]
    answers: list[Said] = field(default_factory=list)
    step: Begun = _SOMEWHERE
    reached: LimitReached | None = None


class RenderProcess(asyncio.SubprocessProtocol):
    """A running child. Work may be given ahead of the answers; it is done in order."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._received = bytearray()
        self._work: deque[_Work] = deque()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._patience_s = _STARVED * max(limits.render_s, limits.compile_s)
        self._moved_at = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._starved = self._deaf = False
        self.fresh = True  # it was given nothing yet

    @classmethod
    async def start(cls, limits: Limits) -> RenderProcess:
        """Start a child, and return once it can work. `OSError` or `ChildEnded` if it can't be started."""
        environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        _, child = await asyncio.get_running_loop().subprocess_exec(
            lambda: cls(limits),
            *_COMMAND,
            msgspec.json.encode(limits).decode(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=None,  # for what goes wrong before it is there
            env=environment,
            start_new_session=True,  # signals to the parent's group must not end what the parent still needs
        )
        try:
            async with asyncio.timeout(_START_S):
                await child._ready
        except BaseException:
            await child.end()
            raise
        return child

    @property
    def runs(self) -> bool:
        """Whether it can be given work."""
        return not self._over.done() and self._transport.get_returncode() is None

    async def render(
        self, revision: Revision, channel: Channel, requests: Sequence[RenderRequest[Packed]], *, alone: bool = False
    ) -> list[Rendered]:
        """One result a request, in order; `ChildEnded` if the child ends before that."""
        key = f"{revision.key}/{channel.value}"
        new = key not in self._known
        self._known[key] = None
        self._known.move_to_end(key)
        forget = [self._known.popitem(last=False)[0]] if len(self._known) > KEPT else []
        shared, rows = _rows(requests)
        work = Render(
            key=key,
            channel=channel,
            revision=revision if new else None,
            forget=forget,
            shared=shared,
            rows=rows,
            alone=alone,
        )
        return cast("list[Rendered]", await self._do(work, len(rows), RenderedTexts, RenderFailure))

    async def render_alone(
        self, revision: Revision, channel: Channel, request: RenderRequest[Packed]
    ) -> list[Rendered]:
        """The one result; the child tells about each step, so that `ChildEnded` can say where it ended."""
        return await self.render(revision, channel, [request], alone=True)

    async def check(self, template: TemplateCheck) -> list[TemplateProblem]:
        """What is wrong with a template; `ChildEnded` if the child ends before it is known."""
        [checked] = cast("list[Checked]", await self._do(Check(template=template), 1, Checked))
        return checked.problems

    async def end(self) -> None:
        """End the child now, whatever it does; return once it is gone."""
        self.kill()
        await asyncio.shield(self._over)

    def kill(self) -> None:
        """End the child now; what it has in hand raises `ChildEnded`."""
        if self._transport.get_returncode() is None:
            self._transport.kill()

    async def _do(self, work: Render[Packed] | Check, count: int, *kinds: type) -> list[Said]:
        self.fresh = False
        given = _Work(count, kinds, self._loop.create_future())
        if not self.runs:
            raise self._ended(given, begun=False)
        framed = frame(work)
        if not self._work:
            self._moved_at = self._loop.time()
        self._work.append(given)
        if self._watch is None:
            self._watch = self._loop.call_later(self._patience_s, self._look)
        self._stdin.write(framed)
        return await given.done

    def _look(self) -> None:
        """End a child that has work and says nothing."""
        self._watch = None
        if not self._work:
            return
        left = self._moved_at + self._patience_s - self._loop.time()
        if left > 0:
            self._watch = self._loop.call_later(left, self._look)
            return
        self._starved = True
        self.kill()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The process runs."""
        self._transport = cast("asyncio.SubprocessTransport", transport)
        self._stdin = cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0))

    def pipe_data_received(self, _fd: int, data: bytes) -> None:
        """Take in what the child says, frame by frame."""
        if self._deaf:
            return
        received = self._received
        received += data
        start = 0
        try:
            with memoryview(received) as view:
                while len(received) - start >= LENGTH:
                    end = start + LENGTH + int.from_bytes(view[start : start + LENGTH], "big")
                    if end - start > _LONGEST_FRAME:
                        raise ValueError("a frame that no child sends")
                    if end > len(received):
                        break
                    self._hear(decode_said(view[start + LENGTH : end]))
                    start = end
        except (ValueError, LookupError):  # ValueError: msgspec's too. Whoever says this is no child of ours any more
            self._deaf = True
            self.kill()
            return
        del received[:start]

    def _hear(self, said: list[Said]) -> None:
        self._moved_at = self._loop.time()
        if not self._ready.done():
            self._ready.set_result(None)
        for each in said:
            work = self._work[0]
            if isinstance(each, Begun):
                work.step = each
            elif isinstance(each, LimitReached):
                work.reached = each
            elif isinstance(each, work.kinds):
                work.answers.append(each)
                if len(work.answers) == work.count:
                    self._work.popleft()
                    if not work.done.done():
                        work.done.set_result(work.answers)
            else:
                raise ValueError("an answer to something else")

    def process_exited(self) -> None:
        """The process is gone; what it still said may be on its way."""
        self._stdin.close()

    def connection_lost(self, _error: Exception | None) -> None:
        """The process is gone, and everything it said was heard."""
        if self._watch is not None:
            self._watch.cancel()
        if not self._ready.done():
            what, limit = self._reason(_Work(0, (), self._loop.create_future()))
            self._ready.set_exception(ChildEnded(begun=False, limit=limit, place="at its start", what=what))
        for index, work in enumerate(self._work):
            if not work.done.done():
                work.done.set_exception(self._ended(work, begun=index == 0))
        self._work.clear()
        self._transport.close()
        self._over.set_result(None)

    def _ended(self, work: _Work, *, begun: bool) -> ChildEnded:
        place = work.reached.place if work.reached else work.step.template
        what, limit = self._reason(work)
        return ChildEnded(work.answers, begun=begun, limit=limit, place=place, what=what)

    def _reason(self, work: _Work) -> tuple[str, bool]:
        """Why the child ended, and whether that was a limit."""
        code = self._transport.get_returncode() or 0
        reached, compiling, limits = work.reached, work.step.compiling, self._limits
        if reached.memory if reached else code == OUT_OF_MEMORY:
            return TOO_LARGE if compiling else f"needed more than {limits.memory_mib} MiB", True
        if reached or -code in (signal.SIGPROF, signal.SIGVTALRM):
            took = f"took longer than {_seconds(limits.compile_s if compiling else limits.render_s)}"
            return f"{took} to compile" if compiling else took, True
        if self._starved:
            return f"was not done within {_seconds(self._patience_s)}", False
        if code < 0:
            return f"its process was ended by {signal.Signals(-code).name}", False
        return f"its process ended with exit code {code}", False


def _rows(requests: Sequence[RenderRequest[Packed]]) -> tuple[list[Packed], list[Row[Packed]]]:
    """The shared contexts, each once, and the requests with the places of theirs."""
    shared: list[Packed] = []
    places: dict[int, int] = {}  # recipients of one trigger share one object
    rows = []
    for request in requests:
        place = places.setdefault(id(request.shared), len(shared))
        if place == len(shared):
            shared.append(request.shared)
        rows.append(
            Row(
                place,
                request.user_id,
                request.email,
                request.locale,
                request.profile,
                request.context,
                request.phone,
            )
        )
    return shared, rows


def _seconds(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1 else f"{1000 * seconds:g} ms"
