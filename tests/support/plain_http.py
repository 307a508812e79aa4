"""A channel over HTTP that asks for one thing: what the tests of such channels send with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Outcome, Sent, TransientFailure
from clarion_workers.channels.http import Answer, HttpChannel, Request
from clarion_workers.channels.sms.message import SmsMessage
from support.raw_server import Connection

LARGE = b"0" * 16_000_000


class Plain(HttpChannel[SmsMessage]):
    """A channel that asks for one thing and takes every answer for a yes."""

    name = "plain"

    def __init__(self, asked: Request, **changes: Any) -> None:
        super().__init__(**{"connections": 4, "timeout_s": 5.0} | changes)
        self.asked = asked
        self.answers: list[Answer] = []

    async def request(self, message: SmsMessage) -> Request:
        return self.asked

    def outcome(self, message: SmsMessage, answer: Answer) -> Outcome:
        self.answers.append(answer)
        return Sent(detail=f"{answer.status} {answer.body[:100].decode()}")


Open = Callable[..., Plain]


def message(number: int = 1) -> SmsMessage:
    return SmsMessage(delivery_id=f"00j4k-{number}", sender="Shop", to_number="+4915112345678", text="Thank you.")


async def one(channel: Plain) -> Outcome:
    [outcome] = await channel.send([message()])
    return outcome


def reason_of(outcome: Outcome) -> Reason:
    assert isinstance(outcome, TransientFailure), outcome
    return outcome.reason


async def hold(connection: Connection) -> None:
    """Take the request, and never answer."""
    await connection.request()
    await connection.until_closed()
