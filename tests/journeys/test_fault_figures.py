"""What `make faults` reads: the wire while it breaks things, and its logs afterwards."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.protobuf.json_format import MessageToDict
from hiredis import pack_command
from hypothesis import given
from hypothesis import strategies as st

from clarion.v1.campaign_pb2 import Campaign
from clarion.v1.delivery_pb2 import Delivery
from clarion.v1.trigger_pb2 import DeliveryCounts, Trigger
from faults import bars
from faults.figures import Figures, figures
from faults.journal import FAULTS
from faults.plan import Plan
from faults.points import HOLDING, Moment, Step
from faults.resp import Cutter, words
from faults.steered import rounds
from faults.wire import Claims, Hand, Wire
from support.raw_logs import ACKNOWLEDGED, LEDGER, SINK, Acknowledged, write_acknowledged, write_line

# On the wire

ANSWERS = [b"+OK\r\n", b"-ERR no\r\n", b":12\r\n", b"$-1\r\n", b"*-1\r\n", b"*0\r\n", b"$4\r\n\r\n+x\r\n"]
ANSWERS += [b"*2\r\n" + ANSWERS[2] + b"*2\r\n" + ANSWERS[6] + ANSWERS[3]]


@given(st.lists(st.sampled_from(ANSWERS)), st.lists(st.integers(1, 9)))
def test_answers_are_told_apart_however_they_arrive(answers: list[bytes], sizes: list[int]) -> None:
    stream, cutter, found = b"".join(answers), Cutter(), []
    for size in [*sizes, len(stream) + 1]:
        piece, stream = stream[:size], stream[size:]
        found += cutter.feed(piece)
    assert found == answers


@given(st.lists(st.binary(), min_size=1))
def test_a_command_says_what_was_sent(arguments: list[bytes]) -> None:
    raw = pack_command(tuple(arguments))
    assert list(Cutter().feed(raw)) == [raw]
    assert words(raw) == arguments


class Conversation:
    """A worker's connection: what it asks, and what it is answered."""

    def __init__(self, claims: Claims | None = None) -> None:
        self.hand = Hand()
        self.wire = Wire(self.hand, claims or Claims())

    def call(self, function: str, answer: bytes, **request: Any) -> Step | None:
        """A function, and its answer."""
        blob = msgspec.msgpack.encode({"shard": "0", "batch": "base.0", "epoch": 1, **request})
        step = self.wire.command(pack_command(("FCALL", f"{function}_0123456789", 1, "key", blob))).step
        self.wire.answer(answer)
        return step

    def claim(self, epoch: int = 1, batch: str = "base.0") -> Step | None:
        rows = b"".join(b"*1\r\n$%d\r\n%s\r\n" % (len(ref), ref) for ref in (b"base-0", b"base-1", b"base-2"))
        head = b"*6\r\n$7\r\nCLAIMED\r\n:0\r\n:0\r\n:0\r\n:0\r\n*3\r\n"
        return self.call("claim", head + rows, epoch=epoch, batch=batch)

    def advance(
        self, answer: bytes, *wanted: str, results: tuple[str, ...] = (), finish: bool = False, unsure: bool = False
    ) -> Step | None:
        rows = [(ref, "trigger", "S", 1, "", "", 0, unsure, True) for ref in results]
        asked = [(ref, "trigger", 1) for ref in wanted]
        return self.call("advance", answer, results=rows, open=asked, finish=finish)


OPENED = b"*3\r\n$6\r\nOPENED\r\n:1\r\n*%d\r\n"


def test_the_wire_tells_what_a_worker_has_opened_and_what_waits_for_it() -> None:
    worker = Conversation()
    assert worker.claim() is Step.CLAIM
    assert worker.advance(OPENED % 2 + b":1\r\n:0\r\n", "base-0", "base-1") is Step.OPEN
    assert (sorted(worker.hand.opened), worker.hand.held) == (["base-0"], ["base-2"])
    assert worker.advance(OPENED % 1 + b":1\r\n", "base-2", results=("base-0",), unsure=True) is Step.RECORD
    assert (sorted(worker.hand.opened), worker.hand.held) == (["base-2"], [])
    assert worker.hand.unsure == ["base-0"]
    assert worker.advance(b"*1\r\n$6\r\nCLOSED\r\n", results=("base-2",), finish=True) is Step.FINISH
    assert (worker.hand.opened, worker.hand.held) == ({}, [])


def test_a_worker_that_comes_late_keeps_nothing_and_what_it_had_opened_is_known() -> None:
    worker = Conversation()
    worker.claim()
    worker.advance(OPENED % 1 + b":1\r\n", "base-0")
    worker.advance(b"*1\r\n$6\r\nFENCED\r\n", "base-1", results=("base-0",))
    assert (worker.hand.opened, worker.hand.held, worker.hand.fenced) == ({}, [], ["base-0"])


def test_what_was_not_answered_when_the_connection_broke_is_perhaps_open_until_it_is() -> None:
    worker = Conversation()
    worker.claim()
    worker.advance(OPENED % 1 + b":1\r\n", "base-0")
    results = [("base-0", "trigger", "S", 1, "", "", 0, False, True)]
    asked = {"batch": "base.0", "results": results, "open": [("base-1", "trigger", 1)], "finish": False}
    worker.wire.command(pack_command(("FCALL", "advance_0123456789", 1, "key", msgspec.msgpack.encode(asked))))
    worker.wire.over()
    assert (worker.hand.opened, sorted(worker.hand.perhaps)) == ({}, ["base-0", "base-1"])
    worker.advance(OPENED % 1 + b":1\r\n", "base-1", results=("base-0",))
    assert (worker.hand.opened, worker.hand.perhaps) == ({"base-1": "base.0"}, {})


def test_the_claim_of_somebody_elses_batch_is_a_take_over_and_that_of_a_later_epoch_is_none() -> None:
    claims = Claims()
    first, second = Conversation(claims), Conversation(claims)
    assert first.claim(epoch=4) is Step.CLAIM
    assert second.call("claim", b"*1\r\n$9\r\nRECOVERED\r\n", epoch=4) is Step.TAKE_OVER
    assert second.claim(epoch=5) is Step.CLAIM
    assert second.claim(batch="r:journey:1:1795507200:0") is Step.RETRY


def test_a_draining_worker_that_leaves_some_unopened_hands_back() -> None:
    worker = Conversation()
    worker.hand.draining = True
    worker.claim()
    worker.advance(OPENED % 1 + b":1\r\n", "base-0")
    assert worker.advance(b"*1\r\n$11\r\nHANDED_BACK\r\n", results=("base-0",), finish=True) is Step.HAND_BACK
    worker.claim(epoch=2)
    everything = ("base-0", "base-1", "base-2")
    assert worker.advance(b"*1\r\n$6\r\nCLOSED\r\n", results=everything, finish=True) is Step.FINISH


# The plan


def test_the_whole_plan_kills_at_every_step_five_times_or_more() -> None:
    plan = Plan.whole()
    kills = Counter(point.step for point in (*plan.points, *plan.take_overs))
    assert {step for step in Step if kills[step] >= bars.KILLS_A_STEP} == set(Step)


@given(st.integers())
def test_rounds_hold_every_point_and_a_take_over_follows_a_death_with_a_batch_in_hand(seed: int) -> None:
    plan = Plan.whole()
    found = list(rounds(plan, random.Random(seed)))
    assert Counter(point for points in found for point in points) >= Counter([*plan.points, *plan.take_overs])
    for points in found:
        if any(point.step is Step.TAKE_OVER for point in points):
            assert any(point.step in HOLDING for point in points)


# The logs

NAME = "campaigns/journey/triggers/00000000000000000001"
DIED, ASKED = 100.0, 90.0


class Logs:
    """Ana and Bo were sent, Flo as fresh work; a worker died with Ana open and Bo waiting for it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.addresses = {"ana": "user+1@example.com", "bo": "user+2@example.com", "flo": "fresh+3@example.com"}
        self.deliveries = {
            user: Delivery(
                name=f"{NAME}/deliveries/base-{index}",
                user_id=user,
                state=Delivery.STATE_SENT,
                message_id=f"<base-{index}@clarion.invalid>",
            )
            for index, user in enumerate(self.addresses)
        }
        self.times = {"ana": 105.0, "bo": 106.5, "flo": 90.25}
        self.kill: dict[str, Any] = {
            "fault": "kill",
            "what": "worker",
            "time": DIED,
            "name": "worker-1",
            "open": ["base-0"],
            "perhaps": [],
            "held": ["base-1"],
            "step": Step.OPEN,
            "moment": Moment.AFTER,
            "round": 1,
        }
        self.journal: list[dict[str, Any]] = [{"seed": 7}, self.kill]

    def figures(self) -> Figures:
        states = Counter(each.state for each in self.deliveries.values())
        counts = {"accepted": 3, "sent": states[Delivery.STATE_SENT], "failed": states[Delivery.STATE_FAILED]}
        trigger = Trigger(name=NAME, campaign="campaigns/journey", counts=DeliveryCounts(**counts))
        with (self._directory / ACKNOWLEDGED).open("w") as log:
            write_acknowledged(log, Acknowledged(NAME, self.addresses, ASKED))
        with (self._directory / SINK).open("w") as log:
            for user, at in self.times.items():
                message_id = self.deliveries[user].message_id.strip("<>")
                write_line(log, {"message_id": message_id, "rcpt_to": [self.addresses[user]], "time": at})
        with (self._directory / LEDGER).open("w") as log:
            write_line(log, {"trigger": MessageToDict(trigger)})
            for delivery in self.deliveries.values():
                write_line(log, {"of": NAME, "delivery": MessageToDict(delivery)})
            campaign = Campaign(name="campaigns/journey", counts=Campaign.Counts(**counts))
            write_line(log, {"campaign": MessageToDict(campaign)})
        with (self._directory / FAULTS).open("w") as log:
            for line in self.journal:
                write_line(log, line)
        return figures(self._directory)


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path)


def missed(found: Figures) -> set[str]:
    """What did not reach its bar, sizes aside."""
    return {row.what for row in bars.rows(found, Plan.whole()) if not row.met} - {
        "faults",
        "accepted deliveries",
        "kills of each step, at least",
    }


def test_logs_in_order_meet_every_bar(logs: Logs) -> None:
    logs.deliveries["ana"].ambiguous_attempts = 1
    found = logs.figures()
    assert missed(found) == set()
    assert found.seed == 7
    assert found.ambiguous_per_kill == [1]
    assert (found.takeovers_s, found.fresh_s) == ([6.5], [0.25])
    assert found.points == {(Step.OPEN, Moment.AFTER): 1}


def test_what_was_open_and_is_not_ambiguous_is_not_counted(logs: Logs) -> None:
    assert logs.figures().ambiguous_per_kill == [0]


def test_what_was_perhaps_open_is_counted_unless_somebody_else_caused_it(logs: Logs) -> None:
    logs.kill["open"], logs.kill["perhaps"] = [], ["base-0"]
    assert logs.figures().ambiguous_per_kill == [0]
    logs.deliveries["ana"].ambiguous_attempts = 1
    assert logs.figures().ambiguous_per_kill == [1]
    logs.journal.append({"name": "worker-2", "fenced": ["base-0"], "unsure": []})
    assert logs.figures().ambiguous_per_kill == [0]


def test_an_ambiguity_that_no_fault_explains_is_found(logs: Logs) -> None:
    logs.deliveries["bo"].ambiguous_attempts = 1
    assert missed(logs.figures()) == {"ambiguous without a cause"}
    logs.journal.append({"name": "worker-2", "fenced": ["base-1"], "unsure": []})
    assert missed(logs.figures()) == set()


def test_more_ambiguous_than_a_window_is_found(logs: Logs) -> None:
    found = logs.figures()
    found.ambiguous_per_kill.append(Plan.whole().window + 1)
    assert missed(found) == {"ambiguous by one kill, at most"}


def test_failing_without_being_refused_is_found_unless_workers_died_over_it(logs: Logs) -> None:
    bo = logs.deliveries["bo"]
    bo.state, bo.reason = Delivery.STATE_FAILED, Delivery.REASON_RENDER_FAILED
    logs.times = {"ana": 105.0, "flo": 90.25}
    assert "FAILED without a cause" in missed(logs.figures())
    bo.reason = Delivery.REASON_POISON
    assert "FAILED without a cause" not in missed(logs.figures())
    bo.reason, logs.addresses["bo"] = Delivery.REASON_RECIPIENT_REFUSED, "rcpt-550+2@example.com"
    assert "FAILED without a cause" not in missed(logs.figures())


def test_a_late_take_over_is_found(logs: Logs) -> None:
    logs.times["bo"] = DIED + 10.5
    assert missed(logs.figures()) == {"take-over, at most"}


def test_the_figures_are_written_for_scripts(logs: Logs, tmp_path: Path) -> None:
    bars.write(logs.figures(), tmp_path / "faults.json")
    assert json.loads((tmp_path / "faults.json").read_text()) == {
        "faults": 1,
        "accepted": 3,
        "lost": 0,
        "duplicated_unflagged": 0,
        "ambiguous": 0,
        "ambiguous_per_kill_max": 0,
        "takeover_s_max": 6.5,
        "seed": 7,
    }


def test_what_never_came_is_no_quick_take_over(logs: Logs) -> None:
    del logs.times["bo"]
    assert missed(logs.figures()) == {"lost", "take-over, at most"}


def test_what_had_arrived_before_the_death_waited_for_nobody(logs: Logs) -> None:
    logs.kill["held"] = ["base-1", "base-2"]  # the whole page of a batch that was handed back before
    assert logs.figures().takeovers_s == [6.5]


def test_the_time_of_what_the_next_death_struck_too_is_not_measured(logs: Logs) -> None:
    logs.journal.append({**logs.kill, "name": "worker-2", "time": 101.0, "open": []})
    assert logs.figures().takeovers_s == []


def test_fresh_work_that_waits_is_found_unless_it_was_the_dead_workers(logs: Logs) -> None:
    logs.times["flo"] = ASKED + 1.5
    assert missed(logs.figures()) == {"fresh work meanwhile, at most"}
    logs.kill["held"] = ["base-1", "base-2"]
    assert logs.figures().fresh_s == []
