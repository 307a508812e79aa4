"""The line in which messages wait for a connection; of a domain, no more than so many are out of it at a time."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar


class Waiting(Protocol):
    """What stands in line."""

    @property
    def domain(self) -> str:
        """The recipient's, in lower case."""
        ...


WaitingT = TypeVar("WaitingT", bound=Waiting)


class Line(Generic[WaitingT]):
    """First in, first out, but for what has to wait until less of its domain is out."""

    def __init__(self, per_domain: int = 0) -> None:
        """`per_domain`: how many of a domain may be out; 0: any number."""
        self._per_domain = per_domain
        self._ready: deque[WaitingT] = deque()
        self._held: dict[str, deque[WaitingT]] = {}
        self._out: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many are waiting for nothing but a connection."""
        return len(self._ready)

    def extend(self, items: Iterable[WaitingT]) -> None:
        """Put these last."""
        self._ready.extend(items)

    def put_first(self, item: WaitingT) -> None:
        """Put this first."""
        self._ready.appendleft(item)

    def take(self) -> WaitingT | None:
        """The first that may go; `ended` is owed for it."""
        while self._ready:
            item = self._ready.popleft()
            if not self._per_domain:
                return item
            domain = item.domain
            if self._out[domain] < self._per_domain:
                self._out[domain] += 1
                return item
            self._held.setdefault(domain, deque()).append(item)
        return None

    def ended(self, item: WaitingT) -> bool:
        """Note that it is no longer out; True where another may go for it."""
        if not self._per_domain:
            return False
        domain = item.domain
        self._out[domain] -= 1
        if not self._out[domain]:
            del self._out[domain]
        held = self._held.get(domain)
        if not held:
            return False
        self._ready.appendleft(held.popleft())
        if not held:
            del self._held[domain]
        return True

    def drop(self, unwanted: Callable[[WaitingT], bool]) -> None:
        """Forget these."""
        self._ready = deque(item for item in self._ready if not unwanted(item))
        for domain, held in list(self._held.items()):
            kept = deque(item for item in held if not unwanted(item))
            if kept:
                self._held[domain] = kept
            else:
                del self._held[domain]

    def empty(self) -> Iterator[WaitingT]:
        """All that wait, and wait no longer."""
        while self._ready:
            yield self._ready.popleft()
        while self._held:
            _, held = self._held.popitem()
            yield from held
