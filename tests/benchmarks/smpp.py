"""SMPP: text messages a second from one process, beside a bare loop with the same client code.

The bare loop makes the same units of the same messages and keeps the window full. It has no calls that wait for their
outcomes, no time-outs, and nothing that could be taken back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence

from benchmarks.plan import Plan
from benchmarks.processes import BenchError, Child, module
from benchmarks.rows import Row, compared
from clarion_core.domain.outcome import Sent
from clarion_workers.channels.sms.message import SmsMessage
from clarion_workers.channels.sms.smpp import SmppChannel, SmppConfig
from clarion_workers.channels.sms.smpp.binding import bound_link
from clarion_workers.channels.sms.smpp.link import Link
from clarion_workers.channels.sms.smpp.messages import bodies
from clarion_workers.channels.sms.smpp.pdu import Command, packed
from clarion_workers.channels.sms.smpp.status import OK

BATCH, AT_ONCE = 100, 8  # as a worker has them
WINDOW = 50
TEXT = "Your order {} is on its way, Ana: 12.50 €. Track it: https://shop.example/t/{}. Thank you, Lumen & Loom"


async def measure(plan: Plan) -> list[Row]:
    """Rounds of the channel and the bare loop in turn."""
    with Child("smpp-sink", module("support.smpp_sink"), plan.directory, '"port"') as sink:
        config = SmppConfig(host="127.0.0.1", port=sink.said["port"], system_id="bench", window=WINDOW)
        messages = [_message(number) for number in range(plan.texts)]
        size = len(_unit(1, messages[0], config))
        channel, link = SmppChannel(config), await bound_link(config, None)
        ours, bare = list[float](), list[float]()
        try:
            await channel.send(messages[:BATCH])  # binds
            for _ in range(plan.text_rounds):
                ours.append(plan.texts / await _timed(_sent(channel, messages)))
                bare.append(plan.texts / await _timed(_Bare(link, config, messages).run()))
        finally:
            await channel.close()
            link.close()
            await link.lost
    return [compared("smpp", "msg/s", ours, bare, note=f"{size} bytes a message; one process, one session")]


def _message(number: int) -> SmsMessage:
    return SmsMessage(
        delivery_id=f"00j4k-{number}",
        sender="Clarion",
        to_number=f"+49151{number:08d}",
        text=TEXT.format(number, number),
    )


def _unit(sequence: int, message: SmsMessage, config: SmppConfig) -> bytes:
    made = bodies(message, config)
    assert isinstance(made, list)
    return packed(Command.SUBMIT_SM, sequence, made[0])


async def _timed(work: Awaitable[None]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


async def _sent(channel: SmppChannel, messages: Sequence[SmsMessage]) -> None:
    batches = (messages[at : at + BATCH] for at in range(0, len(messages), BATCH))

    async def some() -> None:
        for batch in batches:
            outcomes = await channel.send(batch)
            if not all(isinstance(outcome, Sent) for outcome in outcomes):
                raise BenchError("not all text messages were sent")

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))


class _Bare:
    """Keeps the window full until everything is answered."""

    def __init__(self, link: Link, config: SmppConfig, messages: Sequence[SmsMessage]) -> None:
        self._link, self._config, self._messages = link, config, messages
        self._written = self._answered = 0
        self._done = asyncio.get_running_loop().create_future()
        link.on_unit, link.on_read, link.on_lost = self._count, self._write, self._lost

    async def run(self) -> None:
        self._write()
        await self._done

    def _write(self) -> None:
        end = min(self._answered + WINDOW, len(self._messages))
        due = enumerate(self._messages[self._written : end], self._written + 2)
        self._link.write(b"".join(_unit(sequence, message, self._config) for sequence, message in due))
        self._written = end
        if self._answered == len(self._messages) and not self._done.done():
            self._done.set_result(None)

    def _count(self, command: int, status: int, _sequence: int, _body: bytes) -> None:
        self._answered += command == Command.SUBMIT_SM_RESP and status == OK

    def _lost(self, detail: str) -> None:
        if not self._done.done():
            self._done.set_exception(BenchError(f"the sink is gone: {detail}"))
