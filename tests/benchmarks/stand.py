"""What is measured: Redis, server, worker and sink, each a process of its own with the settings it has by default."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from benchmarks import orders
from benchmarks.processes import Child, module
from clarion_client import connect
from clarion_client.cli import campaign_files
from clarion_core.store import connection
from clarion_core.store.store import Store
from clarion_stack.local import script
from clarion_stack.redis import RedisServer
from support.example_orders import CAMPAIGN
from support.render_children import children_of

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".clarion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """A running Clarion. `pids` are its processes by name; the renderer is the worker's child."""

    target: str
    redis_url: str
    sink_port: int
    pids: dict[str, int]


@contextmanager
def directory() -> Iterator[Path]:
    """A place on the disk that the project is on: fsync costs there what it costs."""
    KEPT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=KEPT, prefix="bench-") as name:
        yield Path(name)


@contextmanager
def sink(place: Path) -> Iterator[Child]:
    """The counting sink."""
    with Child("sink", module("support.smtp_sink", "--fast"), place, '"port"') as child:
        yield child


@asynccontextmanager
async def stand(
    place: Path, *, worker: bool = True, profiled: str = "", report: Path = Path(os.devnull)
) -> AsyncIterator[Stand]:
    """A Clarion with an empty store and the example campaign LIVE in it.

    The process called `profiled`, server or worker, runs under cProfile and leaves a `report`.
    """

    def program(name: str) -> list[str]:
        traced = [sys.executable, "-m", "cProfile", "-o", str(report)]
        return [*(traced if name == profiled else []), script(f"clarion-{name}")]

    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer(Path(stack.enter_context(_fresh(place)))))
        mail = stack.enter_context(sink(place))
        told = {
            "CLARION_REDIS_URL": redis.url,
            "CLARION_LOG_FORMAT": "json",
            "CLARION_LISTEN": "127.0.0.1:0",
            "CLARION_SMTP_PORT": str(mail.said["port"]),
        }
        server = stack.enter_context(Child("server", program("server"), place, '"serving"', told))
        pids = {"redis": redis.pid or 0, "server": server.pid, "sink": mail.pid}
        if worker:
            room = stack.enter_context(Child("worker", program("worker"), place, '"working"', told))
            [pids["renderer"]] = children_of(room.pid)
            pids["worker"] = room.pid
        target = str(server.said["address"])
        await _apply(target)
        yield Stand(target=target, redis_url=redis.url, sink_port=mail.said["port"], pids=pids)


@asynccontextmanager
async def caller(target: str) -> AsyncIterator[grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]]:
    """CreateTrigger as a function from bytes to bytes."""
    async with grpc.aio.insecure_channel(target) as channel:
        yield channel.unary_unary(orders.METHOD)


@asynccontextmanager
async def store_of(stand: Stand) -> AsyncIterator[Store]:
    """The stand's store, to look into."""
    store = Store(connection.connect(stand.redis_url))
    try:
        yield store
    finally:
        await store.close()


def _fresh(place: Path) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir=place, prefix="redis-")


async def _apply(target: str) -> None:
    file = campaign_files.read(CAMPAIGN / campaign_files.FILE_NAME)
    async with connect(target) as clarion:
        await clarion.create_campaign(file.campaign_id, file.campaign)
        await clarion.activate_campaign(file.campaign_id)
