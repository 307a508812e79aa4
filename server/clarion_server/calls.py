"""How many calls ended how, and how long they took: what is counted for every call, so it must cost next to nothing."""

from __future__ import annotations

from collections import Counter, defaultdict


class Calls:
    """Calls that ended since this process started, by method and status code. Watches count when they end."""

    def __init__(self) -> None:
        self.ended: Counter[tuple[str, str]] = Counter()
        self.seconds: defaultdict[tuple[str, str], float] = defaultdict(float)

    def note(self, method: str, code: str, elapsed_s: float) -> None:
        """A call ended."""
        key = method, code
        self.ended[key] += 1
        self.seconds[key] += elapsed_s
