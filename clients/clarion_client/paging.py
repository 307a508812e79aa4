"""Lists that fetch their pages as they are read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Protocol, TypeVar

ItemT = TypeVar("ItemT")


class Page(Protocol):
    """What every List answer has."""

    @property
    def next_page_token(self) -> str:
        """Empty on the last page, and only there."""


PageT = TypeVar("PageT", bound=Page)


async def all_pages(
    fetch: Callable[[str], Awaitable[PageT]], items: Callable[[PageT], Iterable[ItemT]]
) -> AsyncIterator[ItemT]:
    """Every item of every page, in order. A page may be empty without being the last."""
    token = ""
    while True:
        page = await fetch(token)
        for item in items(page):
            yield item
        token = page.next_page_token
        if not token:
            return
