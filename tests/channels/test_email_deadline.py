"""Deadlines of messages: told to servers that take them, and kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import pytest

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Sent, TransientFailure
from clarion_workers.channels.email import EmailChannel
from support.emails import email
from support.smtp_sink import Features, SmtpSink

Open = Callable[..., EmailChannel]


@pytest.mark.parametrize(("left_s", "told"), [(3600.5, "BY=3600;R"), (59.0, ""), (math.inf, "")])
async def test_a_server_that_takes_a_deadline_is_told_it(open_channel: Open, left_s: float, told: str) -> None:
    async with SmtpSink(Features(deliver_by=True)) as sink:  # of a minute at least
        [outcome] = await open_channel(sink.port).send([email(1, deadline_s=time.monotonic() + left_s)])
        assert isinstance(outcome, Sent)
        assert sink.messages[0].parameters == told


async def test_what_becomes_too_late_while_its_envelope_is_answered_gets_no_content(open_channel: Open) -> None:
    async with SmtpSink() as sink:
        sink.script("data", "slow")
        [outcome] = await open_channel(sink.port).send([email(1, deadline_s=time.monotonic() + 0.1)])
        assert isinstance(outcome, TransientFailure)
        assert outcome.reason is Reason.EXPIRED
        assert sink.messages == []
