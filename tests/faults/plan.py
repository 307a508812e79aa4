"""How much is broken: the whole run, or the short cut of it that the tests make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from faults.points import Moment, Point, Step, every_point, take_overs


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Sizes of a run. `lease_s` is the workers'; `settings` are theirs beside it."""

    points: Sequence[Point]
    take_overs: Sequence[Point]
    workers: int = 5
    a_round: int = 3  # points
    faults: int = 210
    accepted: int = 205_000
    full_disks: int = 2
    lease_s: float = 5.0
    window: int = 64
    settings: Mapping[str, object] = field(default_factory=dict)
    stands_still_s: Sequence[float] = (0.5, 2.0, 7.0)  # below a lease, about half of it, and above
    callers: int = 4
    sizes: Sequence[int] = (100, 200, 300, 500, 1_000)  # recipients a call
    most_in_flight: int = 6_000  # a backlog of a few seconds
    measured: bool = True  # whether how often and how long has bars, too

    @property
    def worker_settings(self) -> dict[str, object]:
        """What every worker is told."""
        return {"lease_s": self.lease_s, "window": self.window, "smtp_timeout_s": 2, **self.settings}

    @classmethod
    def whole(cls) -> Plan:
        """Two hundred faults over two hundred thousand deliveries, in rounds and at random."""
        return cls(points=every_point(2), take_overs=take_overs(2))

    @classmethod
    def short(cls) -> Plan:
        """A few points in one round, and a few faults at random: what a suite of tests has time for."""
        return cls(
            points=[
                Point(Step.ACCEPT, Moment.BETWEEN),
                Point(Step.OPEN, Moment.BETWEEN),
                Point(Step.HAND_OVER, Moment.DOT),
            ],
            take_overs=[Point(Step.TAKE_OVER, Moment.BETWEEN)],
            workers=3,
            a_round=3,
            faults=6,
            accepted=1_000,
            full_disks=0,
            lease_s=1.0,
            settings={"sweep_s": 0.2, "smtp_timeout_s": 1},
            stands_still_s=(0.5, 1.2),
            callers=2,
            sizes=(100, 700),
            most_in_flight=500,
            measured=False,
        )
