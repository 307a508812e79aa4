"""What must be true of the records between any two calls: the accounting law, and that nothing open is out of reach."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from clarion_core.domain.delivery import CORRECTIONS, TRANSITIONS, DeliveryState
from clarion_core.domain.trigger import Counts, TriggerEvent
from clarion_core.store.keys import PAGE, key, queue_of
from clarion_core.store.store import Store
from support.records import Records

HELD, BEHIND = "h", "o"  # as store/functions/base.lua has them


@dataclass
class _Found:
    """All records, read once."""

    kinds: dict[str, dict[str, dict[str, str]]] = field(default_factory=lambda: defaultdict(dict))
    open: set[str] = field(default_factory=set)
    queues: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    known: set[str] = field(default_factory=set)  # queues that workers look into
    parked: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    jobs: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    lines: list[list[str]] = field(default_factory=list)


async def check(records: Records) -> None:
    """Assert what must hold between any two calls: the accounting law, and that nothing open is out of reach."""
    found = await _read(records.store)
    carried = defaultdict(list)
    waiting_elsewhere: dict[str, set[str]] = {HELD: set(), BEHIND: set()}
    for page, states in _pages(found):
        waiting = {ref: at for ref, at in states.items() if not DeliveryState(at[0]).is_final}
        assert int(found.kinds["l:"][page].get("o", 0)) == len(waiting), page
        for ref, (state, batch, trigger) in waiting.items():
            if batch in waiting_elsewhere:
                assert state in "QR"
                waiting_elsewhere[batch].add(trigger if batch == HELD else f"{ref} {trigger}")
            else:
                carried[batch or page].append((ref, state))
    assert waiting_elsewhere[HELD] <= found.held, "deliveries set aside that nobody would give out again"
    behind = {entry for line in found.lines for entry in line[1:]}
    assert waiting_elsewhere[BEHIND] == behind, "those behind the first of a line, and nobody else, wait for a turn"
    _check_batches(found, carried)
    await _check_accounts(records, found)
    _check_moves(await records.events())


def _check_batches(found: _Found, carried: dict[str, list[tuple[str, str]]]) -> None:
    batches = found.kinds["b:"]
    assert carried.keys() <= batches.keys(), "open deliveries without a batch"
    assert found.open == batches.keys(), "the sweep looks at every open batch and at no other"
    assert found.known == found.queues.keys(), "workers look into every queue that holds something and no other"
    for name, batch in batches.items():
        assert {ref for ref, _ in carried[name]} <= set(batch.get("m", "").split()) or "m" not in batch
        job = f"{{0}}:{batch['v']}:{name}:{batch['j']}"
        if batch["u"] != "0":
            continue
        assert "G" not in {state for _, state in carried[name]}, f"{name} is nobody's and has an open window"
        if "k" in batch:
            assert name in found.parked[batch["c"]]
        else:
            assert job in found.jobs, f"{name} has no job"
            assert job in found.queues[queue_of(batch["l"], batch["v"])]
            assert int(batch["j"]) == int(batch["e"]) + 1


async def _check_accounts(records: Records, found: _Found) -> None:
    totals: dict[str, Counts] = defaultdict(Counts)
    for trigger, account in found.kinds["t:"].items():
        kept, counted = await records.upkeep.recount(0, trigger)
        assert kept is not None
        assert kept == counted
        assert kept.balance == 0
        totals[account["c"]] += kept
    for campaign, total in totals.items():
        assert await records.campaigns.counts(campaign) == total


def _check_moves(events: Sequence[TriggerEvent]) -> None:
    """Every move told is one that the domain knows; SENDING itself is not told."""
    states: dict[str, DeliveryState] = {}
    for event in events:
        for move in [each for each in event.moves if not each.fact]:
            ref, after = move.delivery, DeliveryState(move.state)
            before = states.get(ref, DeliveryState.QUEUED)
            through = TRANSITIONS[DeliveryState.SENDING] if DeliveryState.SENDING in TRANSITIONS[before] else set()
            known = TRANSITIONS[before] | through | CORRECTIONS.get(before, frozenset())
            assert after in known, f"{ref}: {before.name} to {after.name}"
            states[ref] = after


def _pages(found: _Found) -> Iterator[tuple[str, dict[str, tuple[str, str, str]]]]:
    """Accepted pages: the state, the batch where it is not the page's, and the trigger of each delivery."""
    for page, segments in found.kinds["p:"].items():
        if page not in found.kinds["l:"]:
            continue  # staged, and not accepted
        base, number = page.rsplit(".", 1)
        states = {}
        for name in segments:
            offset, count, trigger = name.split(":", 2)
            for index in range(int(offset), int(offset) + int(count)):
                record = found.kinds["l:"][page].get(str(index), "Q|||||||||").split("|", 9)
                states[f"{base}-{int(number) * PAGE + index}"] = (record[0], record[5], trigger)
        yield page, states


async def _read(store: Store) -> _Found:
    found = _Found()
    for raw in await store.command("KEYS", "*"):
        name = raw.decode()
        kind = name.removeprefix("clarion:{0}:")[:2]
        record = name.removeprefix(f"clarion:{{0}}:{kind}")
        if name.startswith("arq:job:"):
            found.jobs.add(name.removeprefix("arq:job:"))
        elif name == key(0, "open"):
            found.open = {member.decode() for member in await store.command("ZRANGE", name, 0, -1)}
        elif name.startswith(key(0, "queue")) and not name.endswith(":health-check"):
            found.queues[record] = {member.decode() for member in await store.command("ZRANGE", name, 0, -1)}
        elif name.startswith(key(0, "queues")):
            members = await store.command("SMEMBERS", name)
            found.known |= {queue_of(name.removeprefix(key(0, "queues")), member.decode()) for member in members}
        elif name == key(0, "held"):
            found.held = {member.decode().split(" ")[1] for member in await store.command("SMEMBERS", name)}
        elif name.startswith(key(0, "line")):
            found.lines.append([member.decode() for member in await store.command("LRANGE", name, 0, -1)])
        elif name.startswith(key(0, "parked")):
            found.parked[record] = {member.decode() for member in await store.command("SMEMBERS", name)}
        elif name.startswith("clarion:{0}:") and kind in ("p:", "l:", "b:", "t:"):
            flat = await store.command("HGETALL", name)
            found.kinds[kind][record] = {k.decode(): v.decode("latin-1") for k, v in _pairs(flat)}
    return found


def _pairs(flat: Any) -> Iterator[tuple[bytes, bytes]]:
    return iter(flat.items()) if isinstance(flat, dict) else iter(zip(flat[::2], flat[1::2], strict=True))
