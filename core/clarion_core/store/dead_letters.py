"""Dead letters in the store: deliveries that ended FAILED or AMBIGUOUS, found by trigger, sent again or discarded."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from clarion_core.domain.ids import shard_of
from clarion_core.domain.medium import Medium
from clarion_core.store import keys
from clarion_core.store.accepting import via_of
from clarion_core.store.store import Store

GONE = -1  # what `redrive` answers for a trigger that can't go on


class DeadLetterStore:
    """Finds and changes dead letters. The index names triggers; which of their deliveries are dead, the ledger says."""

    def __init__(self, store: Store, shards: int, retention_s: int) -> None:
        self._store, self._shards, self._retention_s = store, shards, retention_s

    async def now_ms(self) -> int:
        """The store's time, by which deliveries end."""
        seconds, micros = await self._store.command("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    async def triggers(self, campaign: str, after: tuple[int, str] | None, limit: int) -> list[tuple[int, str]]:
        """Triggers with dead letters and when their first one died, the earliest first, those behind `after`."""
        found: list[tuple[int, str]] = []
        for shard in range(self._shards):
            found += await self._of_shard(shard, campaign, after, limit)
        return sorted(found)[:limit]

    async def _of_shard(
        self, shard: int, campaign: str, after: tuple[int, str] | None, limit: int
    ) -> list[tuple[int, str]]:
        """Up to `limit` entries of one shard behind `after`; those of the same millisecond are in the order of ids."""
        found: list[tuple[int, str]] = []
        offset = 0
        while len(found) < limit:
            rows = await self._store.command(
                "ZRANGEBYSCORE",
                keys.key(shard, "dead", campaign),
                after[0] if after else "-inf",
                "+inf",
                "WITHSCORES",
                "LIMIT",
                offset,
                limit,
                withscores=True,
            )
            entries = [(int(score), raw.decode()) for raw, score in rows]
            found += [entry for entry in entries if after is None or entry > after]
            offset += limit
            if len(rows) < limit:
                break
        return found[:limit]

    async def redrive(
        self,
        trigger: str,
        deliveries: Sequence[str],
        *,
        campaign: str,
        revision: int,
        lane: str,
        policy: str,
        configurations: Mapping[Medium, str],
    ) -> int:
        """Send these again, at most 500; how many were dead. GONE where the trigger was called off or has expired.

        `configurations` names the channel configuration of each of their media.
        """
        like = {"c": campaign, "rev": revision, "l": lane, "pol": policy}
        done: int = await self._store.call(
            "redrive",
            shard_of(trigger) or 0,
            trigger=trigger,
            call=secrets.token_hex(8),
            refs=deliveries,
            like=like,
            vias={medium.letter: via_of(medium, name) for medium, name in configurations.items()},
            retention_s=self._retention_s,
        )
        return done

    async def discard(self, trigger: str, deliveries: Sequence[str], *, campaign: str, reason: str) -> int:
        """Take these out of the list, at most 500; how many of them were dead."""
        done: int = await self._store.call(
            "discard",
            shard_of(trigger) or 0,
            trigger=trigger,
            call=secrets.token_hex(8),
            refs=deliveries,
            campaign=campaign,
            reason=reason,
        )
        return done
