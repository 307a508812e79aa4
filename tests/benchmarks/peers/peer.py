"""A peer: what a team would otherwise write, as processes that take the same orders from the same kind of Redis.

A peer is a directory beside this file with its sources and its lock file, and an entry in PEERS. Its programs read

    PEER_REDIS_SOCKET  the broker's unix socket
    PEER_SMTP_PORT     the mail server's port on 127.0.0.1
    PEER_CAMPAIGN      a JSON file: sender, reply_to, the defaults of the context, the directory of Jinja2 templates

A worker says a line with `"ready"` once it takes orders. A producer gets a file with one order a line and says
`{"started": …}` before the first one is queued, on the monotonic clock, and `{"queued": …, "cpu_s": …}` once all are:
how many, and the CPU seconds that took. Workers end on SIGTERM.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.peers.environments import HERE, node_environment, python_environment
from benchmarks.processes import Child
from clarion_stack.redis import RedisServer
from support.example_orders import CAMPAIGN, definition
from support.node import wheel_node


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """The commands of an installed peer; the producer's takes the file of orders as its last word."""

    worker: Sequence[str]
    producer: Sequence[str]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A peer, its worker processes, and how to install it."""

    name: str
    workers: int
    install: Callable[[], Programs]


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """When the first order was queued, on the monotonic clock, and what queueing all of them took the producer."""

    started: float
    cpu_s: float


class Running:
    """A running peer. `pids` are its worker processes and its Redis."""

    def __init__(
        self, programs: Programs, environment: Mapping[str, str], place: Path, pids: Mapping[str, int]
    ) -> None:
        self._programs, self._environment, self._place = programs, environment, place
        self.pids = pids

    def queue(self, orders: Iterable[dict[str, Any]]) -> Queued:
        """Queue these orders."""
        file = self._place / "orders.jsonl"
        file.write_text("".join(json.dumps(order) + "\n" for order in orders), "utf-8")
        command = [*self._programs.producer, str(file)]
        with Child("producer", command, self._place, '"queued"', self._environment) as producer:
            started = producer.wait_for('"started"')["started"]
            return Queued(started=started, cpu_s=producer.said["cpu_s"])


@contextmanager
def running(peer: Peer, place: Path, smtp_port: int) -> Iterator[Running]:
    """Install the peer where it is not, and start it on a Redis of its own, which is as durable as Clarion's."""
    programs = peer.install()
    with ExitStack() as stack:
        own = Path(stack.enter_context(TemporaryDirectory(dir=place, prefix=f"{peer.name}-")))
        redis = stack.enter_context(RedisServer(own / "redis"))
        environment = {
            "PEER_REDIS_SOCKET": str(redis.socket),
            "PEER_SMTP_PORT": str(smtp_port),
            "PEER_CAMPAIGN": str(_campaign(own)),
            **programs.environment,
        }
        workers = [
            stack.enter_context(Child(f"worker-{number}", programs.worker, own, '"ready"', environment))
            for number in range(peer.workers)
        ]
        pids = {"redis": redis.pid or 0, **{worker.name: worker.pid for worker in workers}}
        yield Running(programs, environment, own, pids)


def _campaign(place: Path) -> Path:
    email = definition().email
    assert email
    said = {
        "sender": email.sender,
        "reply_to": email.reply_to,
        "defaults": {field.name: field.default for field in definition().context},
        "templates": str(CAMPAIGN),
    }
    file = place / "campaign.json"
    file.write_text(json.dumps(said), "utf-8")
    return file


def _celery() -> Programs:
    programs = python_environment("celery")
    # The pool's two processes are Celery's own; nobody here listens to what workers tell each other.
    alone = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    pool = ["--pool", "prefork", "--concurrency", "2", "--loglevel", "WARNING"]
    return Programs(
        worker=[str(programs / "celery"), "--app", "post_office", "worker", *pool, *alone],
        producer=[str(programs / "python"), str(HERE / "celery/produce.py")],
        environment={"PYTHONPATH": str(HERE / "celery")},
    )


def _bullmq() -> Programs:
    node, place = str(wheel_node()), node_environment("bullmq")
    return Programs(
        worker=[node, str(place / "worker.mjs")], producer=[node, str(place / "produce.mjs")], environment={}
    )


PEERS = (Peer(name="celery", workers=1, install=_celery), Peer(name="bullmq", workers=2, install=_bullmq))
