"""Changing lists item by item: what can't be right is refused, and the rest goes to the list of its channel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from clarion.v1 import suppression_pb2 as pb
from clarion_core.domain.errors import InvalidRequest
from clarion_core.domain.medium import Channel
from clarion_server.convert_suppression import from_refusal

ItemT = TypeVar("ItemT")
ReadT = TypeVar("ReadT")
Change = Callable[[Channel, Sequence[ReadT]], Awaitable[Sequence[int]]]
"""Does something about what was read of one channel; the result of each."""


async def change(
    items: Sequence[ItemT],
    *,
    read: Callable[[ItemT, int], tuple[Channel, ReadT]],
    act: Change[ReadT],
) -> list[pb.EntryVerdict]:
    """What became of each item, in order.

    `read` takes an item and its position and raises `InvalidRequest` for one that can't be right.
    """
    verdicts: dict[int, pb.EntryVerdict] = {}
    by_channel: dict[Channel, list[tuple[int, ReadT]]] = {}
    for index, item in enumerate(items):
        try:
            channel, known = read(item, index)
            by_channel.setdefault(channel, []).append((index, known))
        except InvalidRequest as error:
            verdicts[index] = from_refusal(error)
    for channel, known_ones in by_channel.items():
        results = await act(channel, [known for _, known in known_ones])
        for (index, _), result in zip(known_ones, results, strict=True):
            verdicts[index] = pb.EntryVerdict(result=_value(result))
    return [verdicts[index] for index in range(len(items))]


def _value(result: int) -> pb.EntryVerdict.Result.ValueType:
    return pb.EntryVerdict.Result.ValueType(result)
