"""Ids: their shape, the shard in them, and that the same request gets the same one."""

from __future__ import annotations

import re
import secrets

from hypothesis import given
from hypothesis import strategies as st

from clarion_core.domain.ids import (
    ALPHABET,
    base32,
    derived_trigger_id,
    medium_of,
    new_base,
    random_trigger_id,
    shard_of,
)
from clarion_core.domain.medium import Medium

TRIGGER = re.compile(f"[{ALPHABET}]{{27}}")
BASE = re.compile(f"[{ALPHABET}]{{22}}")
names = st.text(max_size=20)
shards = st.integers(1, 64)


@given(names, names, names, shards)
def test_the_same_request_gets_the_same_id(workspace: str, campaign: str, request: str, count: int) -> None:
    first = derived_trigger_id(workspace, campaign, request, count)
    assert first == derived_trigger_id(workspace, campaign, request, count)
    assert TRIGGER.fullmatch(first)
    shard = shard_of(first)
    assert shard is not None
    assert shard < count


def test_workspace_campaign_and_request_are_all_part_of_the_id() -> None:
    asked = [("a", "b", "c"), ("x", "b", "c"), ("a", "x", "c"), ("a", "b", "x"), ("ab", "", "c")]
    assert len({derived_trigger_id(*names, 1) for names in asked}) == len(asked)


@given(shards)
def test_an_id_without_a_request_is_like_one_with(count: int) -> None:
    made = random_trigger_id(count, secrets.randbits)
    assert TRIGGER.fullmatch(made)
    assert made != random_trigger_id(count, secrets.randbits)
    assert (shard_of(made) or 0) < count


@given(st.integers(0, 63), st.integers(0, 2**45 - 1), st.sampled_from(Medium))
def test_a_deliverys_base_tells_its_shard_and_medium_and_sorts_by_time(shard: int, now_ms: int, medium: Medium) -> None:
    base = new_base(shard, now_ms, secrets.randbits, medium)
    assert BASE.fullmatch(base)
    assert shard_of(f"{base}-17") == shard_of(base) == shard
    assert now_ms == 2**45 - 1 or base < new_base(shard, now_ms + 1, secrets.randbits, medium)
    assert medium_of(f"{base}-17") is medium


def test_many_triggers_spread_over_all_shards() -> None:
    found = {shard_of(derived_trigger_id("default", "welcome", str(number), 8)) for number in range(500)}
    assert found == set(range(8))


@given(st.integers(0, 2**40))
def test_base32_is_crockfords(number: int) -> None:
    assert sum(ALPHABET.index(char) << (5 * place) for place, char in enumerate(reversed(base32(number, 9)))) == number


@given(st.text(max_size=30))
def test_what_is_no_id_of_ours_names_no_shard_or_a_possible_one(text: str) -> None:
    shard = shard_of(text)
    assert shard is None or 0 <= shard < 32 * 32


def test_a_short_or_foreign_id_names_no_shard() -> None:
    assert [shard_of(text) for text in ("", "0", "il", "UU", "é0")] == [None] * 5
