"""The process that compiles and renders templates: `python -m clarion_core.content.child LIMITS`, started by `process`.

Nothing inside a process holds a template that allocates or spins in C, so this one has nothing to lose: no secret, no
connection but the pipes to its parent, and limits that the kernel keeps. It does one thing after the other, says
what came of it, and ends when its parent's end of the pipe does.

Time is CPU time, so that a busy machine fails nobody. When it is over, a signal raises `OutOfTime` where the template
is, which tells the line; where no Python code runs that could be raised in, a second signal ends the process a little
later. After either, or once memory ran out, the child ends: it is not known what was left half done.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from io import FileIO
from typing import BinaryIO, TypeVar

import msgspec

from clarion_core import collector
from clarion_core.content.compiled import CompiledContent, OutOfTime
from clarion_core.content.inspection import inspect
from clarion_core.content.types import (
    LimitReached,
    Plain,
    Rendered,
    RenderedTexts,
    RenderFailure,
    RenderRequest,
    Revision,
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
    Said,
    decode_work,
    frame,
)
from clarion_core.domain.medium import Channel

_TELL_S = 0.02  # what is done is told after this long at the latest: the parent sees that work goes on
_TELL_SIZE = 128 * 1024  # or once it has this many bytes: what a pipe takes without waiting for its reader
_MERCY = 1.2  # of the time limit: when the kernel ends what could not be stopped from inside

ResultT = TypeVar("ResultT")


class _Over(BaseException):
    """A limit was reached."""

    def __init__(self, reached: LimitReached) -> None:
        self.reached = reached


class Pipes:
    """The two pipes to the parent, taken from standard input and output, which lead nowhere afterwards."""

    def __init__(self) -> None:
        self._in: BinaryIO = os.fdopen(os.dup(0), "rb")
        self._out = FileIO(os.dup(1), "wb")
        nowhere = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1):
            os.dup2(nowhere, standard)

    def read(self) -> bytes | None:
        """The next message; None once the parent is gone."""
        head = self._in.read(LENGTH)
        length = int.from_bytes(head, "big")
        body = self._in.read(length)
        return body if len(head) == LENGTH and len(body) == length else None

    def write(self, said: list[Said]) -> None:
        """Send answers to the parent."""
        left = memoryview(frame(said))
        while left:
            left = left[self._out.write(left) :]


class Child:
    """Works through what the parent sends."""

    def __init__(self, pipes: Pipes, limits: Limits) -> None:
        self._pipes, self._limits = pipes, limits
        self._contents: dict[str, CompiledContent | RenderFailure] = {}
        self._said: list[Said] = []
        self._size = 0
        self._told_at = 0.0
        self._timed = False  # whether there is something to stop
        self._at = ""  # the template in work
        self._aloud = False

    def serve(self) -> None:
        """Work until the parent ends, or a limit is reached."""
        signal.signal(signal.SIGVTALRM, self._time_is_over)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGVTALRM, signal.SIGPROF})
        self._tell()
        while (message := self._pipes.read()) is not None:
            work = decode_work(message)
            self._told_at = time.monotonic()
            try:
                if isinstance(work, Check):
                    self._check(work)
                else:
                    self._render(work)
            except _Over as over:
                self._said.append(over.reached)
                return
            finally:
                self._stop_clock()
                self._tell()

    def _render(self, work: Render[Plain]) -> None:
        for key in work.forget:
            self._contents.pop(key, None)
        if work.revision is not None:
            self._contents[work.key] = self._compiled(work.revision, work.channel)
            self._pipes.write([Begun(template=MESSAGE, compiling=False)])
        self._aloud = work.alone
        content = self._contents[work.key]
        for row in work.rows:
            if isinstance(content, RenderFailure):
                self._add(content)
                continue
            request = RenderRequest(
                user_id=row.user_id,
                email=row.email,
                locale=row.locale,
                profile=row.profile,
                context=row.context,
                shared=work.shared[row.shared],
                phone=row.phone,
            )
            self._add(self._rendered(content, request))

    def _rendered(self, content: CompiledContent, request: RenderRequest[Plain]) -> Rendered:
        self._at = MESSAGE
        try:
            answer = self._limited(self._limits.render_s, content.render, request, self._begin)
        except Exception as error:  # not the templates', which are answers: the data can't be read
            return RenderFailure(detail=f"{self._at}: {type(error).__name__}")
        if isinstance(answer, LimitReached):
            raise _Over(answer)
        return answer

    def _compiled(self, revision: Revision, channel: Channel) -> CompiledContent | RenderFailure:
        """A channel's templates; those that can't be compiled fail each message."""
        try:
            return self._limited(self._limits.compile_s, CompiledContent, revision, channel, self._begin_compiling)
        except Exception as error:  # whatever a stored template does, its deliveries get their answers
            return RenderFailure(detail=f"can't be compiled: {type(error).__name__}")

    def _check(self, work: Check) -> None:
        self._begin_compiling(work.template.name)
        problems = self._limited(self._limits.compile_s, inspect, work.template)
        self._add(Checked(problems=problems))

    def _limited(self, seconds: float, work: Callable[..., ResultT], *arguments: object) -> ResultT:
        """What the work returns, if it does so within the limits; else this process ends."""
        try:
            try:
                self._start_clock(seconds)
                return work(*arguments)
            finally:
                self._timed = False
        except (OutOfTime, MemoryError) as error:
            reached = LimitReached(place=self._at, memory=isinstance(error, MemoryError))
        raise _Over(reached)  # not before what the error held on to is free

    def _begin(self, template: str) -> None:
        self._at = template
        if self._aloud:
            self._timed = False  # a frame must not be stopped halfway; the kernel's limit holds on
            self._pipes.write([Begun(template=template, compiling=False)])
            self._timed = True

    def _begin_compiling(self, template: str) -> None:
        self._timed = False
        self._at = template
        self._pipes.write([Begun(template=template, compiling=True)])
        self._start_clock(self._limits.compile_s)

    def _start_clock(self, seconds: float) -> None:
        self._timed = True
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
        signal.setitimer(signal.ITIMER_PROF, _MERCY * seconds)

    def _stop_clock(self) -> None:
        self._timed = False
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _time_is_over(self, *_: object) -> None:
        if self._timed:
            self._timed = False
            raise OutOfTime

    def _add(self, answer: Said) -> None:
        self._said.append(answer)
        if isinstance(answer, RenderedTexts):
            self._size += sum(map(len, answer.texts.values()))
        if self._size > _TELL_SIZE or time.monotonic() - self._told_at > _TELL_S:
            self._stop_clock()
            self._tell()

    def _tell(self) -> None:
        self._pipes.write(self._said)
        self._said, self._size, self._told_at = [], 0, time.monotonic()


def _limit(limits: Limits) -> None:
    """Have the kernel hold this process to its memory, and to writing no file, not even of what it was doing."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if sys.platform == "linux":
        with open("/proc/self/statm") as statm:
            base = int(statm.read().split()[0]) * resource.getpagesize()
        most = base + limits.memory_mib * 1024 * 1024
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main() -> None:
    """Serve the parent on standard input and output."""
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # may be for all there is; the parent says when
        signal.signal(signum, signal.SIG_IGN)
    limits = msgspec.json.decode(sys.argv[1], type=Limits)
    pipes = Pipes()
    collector.settle()
    _limit(limits)
    os.dup2(0, 2)  # what went wrong until here is said aloud; from now on texts are data
    try:
        Child(pipes, limits).serve()
    except BrokenPipeError:
        os._exit(0)  # the parent is gone
    except MemoryError:
        os._exit(OUT_OF_MEMORY)


if __name__ == "__main__":
    main()
