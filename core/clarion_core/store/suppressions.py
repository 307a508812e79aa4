"""Suppression and allow lists in the store: one of each for every workspace and channel, in force at once.

An entry is about 50 bytes beside what it names; a list may have millions of them. What is asked or told of up to 500
addresses is one round trip, and one function.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from clarion_core.domain.medium import Channel
from clarion_core.domain.outcome import AddressFact
from clarion_core.domain.suppression import (
    COMMENT_MAX,
    MAY,
    SOFT_BOUNCES,
    SOURCE_MAX,
    Entry,
    SuppressionReason,
    Target,
    TargetKind,
    Verdict,
    VerdictKind,
)
from clarion_core.store import keys
from clarion_core.store.keys import CONTROL
from clarion_core.store.store import Store
from clarion_core.targets import address_form

AT_ONCE = 500  # entries a function takes
_ALLOWED = "a"  # an allow list's entries have no reason
_COUNTED = b"s"
_COUNTING = Verdict(counting=True)


class Added(StrEnum):
    """What adding an entry came to."""

    ADDED = "A"
    UPDATED = "U"  # something was there, and says it differently now
    KEPT = "K"  # what was there says as much


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Something reported of an address. `comment` is what the provider said; `source` names it.

    `time_ms`: when it happened, since 1970, 0: now. Soft bounces are counted by it, whenever they are heard of.
    """

    address: str
    fact: AddressFact
    source: str = ""
    comment: str = ""
    time_ms: int = 0


Place: TypeAlias = str
"""Where a walk through a list goes on: a hash in hexadecimal, or the beginning of one. It holds nobody's data."""
BEGINNING: Place = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowListState:
    """Whether an allow list holds, and how many entries it has. Active and empty, it forbids everything."""

    active: bool
    entries: int


class Lists:
    """Entries of lists, whichever of the two kinds."""

    def __init__(self, store: Store, kind: str) -> None:
        self._store, self._kind = store, kind

    def name(self, workspace: str, channel: Channel) -> str:
        """The list of a workspace and channel."""
        return f"{self._kind}:{workspace}/{channel.value}"

    async def add(self, workspace: str, channel: Channel, entries: Sequence[Entry]) -> list[Added]:
        """Add entries; what became of each, in order. Targets are in their normal form; times of creation are ours.

        `StoreFull` where the store takes no more.
        """
        name, done = self.name(workspace, channel), list[Added]()
        for at in range(0, len(entries), AT_ONCE):
            rows = [_row(entry) for entry in entries[at : at + AT_ONCE]]
            answer = await self._store.call("list_add", CONTROL, list=name, entries=rows)
            done += [Added(letter.decode()) for letter in answer]
        return done

    async def remove(self, workspace: str, channel: Channel, targets: Sequence[Target]) -> list[bool]:
        """Remove entries; for each whether there was one."""
        name, done = self.name(workspace, channel), list[bool]()
        for at in range(0, len(targets), AT_ONCE):
            fields = [_field(target) for target in targets[at : at + AT_ONCE]]
            answer = await self._store.call("list_remove", CONTROL, list=name, fields=fields)
            done += [bool(was) for was in answer]
        return done

    async def page(
        self, workspace: str, channel: Channel, after: Place, limit: int
    ) -> tuple[list[Entry], Place | None]:
        """The next entries in force, at most `limit` and perhaps none; and where to go on, None at the end.

        The order is the list's own. What is there all along is seen once, whatever is added or removed meanwhile.
        """
        following, *rows = await self._store.call(
            "list_page", CONTROL, list=self.name(workspace, channel), place=after, limit=min(limit, AT_ONCE)
        )
        entries = [_entry(field.decode(), value.decode()) for field, value in rows]
        return entries, following.decode() or None

    async def walk(self, workspace: str, channel: Channel) -> AsyncIterator[Entry]:
        """Every entry, page by page."""
        place: Place | None = BEGINNING
        while place is not None:
            entries, place = await self.page(workspace, channel, place, AT_ONCE)
            for entry in entries:
                yield entry


class Suppressions(Lists):
    """Who must not be sent to."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, "s")
        self._allowed = AllowLists(store)

    async def verdicts(
        self, workspace: str, channel: Channel, addresses: Sequence[str], *, pass_over_complaints: bool = False
    ) -> list[Verdict]:
        """Whether each of at most 500 addresses, as recipients have them, may be sent to now; in order.

        Suppressions go before the allow list, addresses before domains. `pass_over_complaints`: what is suppressed for
        COMPLAINT alone may be sent to.
        """
        found = [MAY] * len(addresses)
        answer = await self._store.call(
            "may_receive",
            CONTROL,
            suppressed=self.name(workspace, channel),
            allowed=self._allowed.name(workspace, channel),
            fields=[address_form(channel, address) for address in addresses],
            pass_over=pass_over_complaints,
        )
        for position, letter, field, value in answer:
            found[position - 1] = _COUNTING if letter == _COUNTED else _verdict(letter, field, value)
        return found

    async def hear(
        self, workspace: str, channel: Channel, told: Sequence[Told], *, soft_bounces: int = SOFT_BOUNCES
    ) -> list[SuppressionReason | None]:
        """Take in what is reported of addresses; for what reason each is suppressed from now on, None where it is not,
        or was before. Told twice, it counts once.

        `soft_bounces` is the threshold, 1 to 20.
        """
        name, done = self.name(workspace, channel), list[SuppressionReason | None]()
        for at in range(0, len(told), AT_ONCE):
            rows = [
                (
                    address_form(channel, each.address),
                    each.fact.value,
                    soft_bounces,
                    _source(each.source),
                    _plain(each.comment, COMMENT_MAX),
                    each.time_ms // 1000,
                )
                for each in told[at : at + AT_ONCE]
            ]
            answer = await self._store.call("list_hear", CONTROL, list=name, facts=rows)
            done += [SuppressionReason(letter.decode()) if letter else None for letter in answer]
        return done

    async def trim(self) -> int:
        """Remove some of what is over from every list, of both kinds; how many. Every list is walked in time."""
        removed = 0
        for name in await self._store.command("SMEMBERS", keys.key(CONTROL, "lists")):
            removed += await self._store.call("list_trim", CONTROL, list=name.decode())
        return removed


class AllowLists(Lists):
    """Who alone may be sent to, where a list is active."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, _ALLOWED)

    async def set_active(self, workspace: str, channel: Channel, *, active: bool) -> AllowListState:
        """Have a list hold, or not. Active and empty, nothing is sent."""
        entries = await self._store.call("list_switch", CONTROL, list=self.name(workspace, channel), on=active)
        return AllowListState(active=active, entries=entries)

    async def state(self, workspace: str, channel: Channel) -> AllowListState:
        """Whether a list holds, and how long it is."""
        active, entries = await self._store.call("list_state", CONTROL, list=self.name(workspace, channel))
        return AllowListState(active=bool(active), entries=entries)


def _plain(text: str, most: int) -> str:
    """Text as an entry holds it: cut, and on one line."""
    return "".join(char if char.isprintable() else " " for char in text[:most])


def _source(text: str) -> str:
    return _plain(text, SOURCE_MAX).replace("|", " ")  # which ends it


def _field(target: Target) -> str:
    return target.value if target.kind is TargetKind.ADDRESS else f"@{target.value}"


def _target(field: str) -> Target:
    return Target(TargetKind.DOMAIN, field[1:]) if field.startswith("@") else Target(TargetKind.ADDRESS, field)


def _row(entry: Entry) -> tuple[str, str, int, str, str]:
    letter = entry.reason.value if entry.reason else _ALLOWED
    comment = _plain(entry.comment, COMMENT_MAX)
    return _field(entry.target), letter, -(-entry.expire_ms // 1000), _source(entry.source), comment


def _entry(field: str, value: str) -> Entry:
    first, expires, source, comment = value.split("|", 3)
    return Entry(
        target=_target(field),
        reason=None if first[0] == _ALLOWED else SuppressionReason(first[0]),
        source=source,
        comment=comment,
        create_ms=1000 * int(first[1:]),
        expire_ms=1000 * int(expires),
    )


def _verdict(letter: bytes, field: bytes, value: bytes) -> Verdict:
    return Verdict(kind=VerdictKind(letter.decode()), by=_entry(field.decode(), value.decode()) if value else None)
