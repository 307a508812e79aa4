"""What is measured: Redis, server, worker and sink, each a process of its own with the settings it has by default."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import yaml

from benchmarks import orders
from benchmarks.processes import BenchError, Child, module
from clarion_client import connect
from clarion_client.cli import campaign_files
from clarion_client.cli.problems import FilesInvalid
from clarion_core.store import connection
from clarion_core.store.keys import key
from clarion_core.store.store import Store
from clarion_stack.local import script
from clarion_stack.redis import RedisServer
from support.example_orders import CAMPAIGN
from support.render_children import children_of

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".clarion"
CALLS_AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """A running Clarion. `pids` are its processes by name, the renderer is the worker's child; `environment` is what
    they were told. Mail goes to `mail_port`; at `sink_port` the sink is asked.
    """

    place: Path
    target: str
    redis_url: str
    sink_port: int
    mail_port: int
    pids: dict[str, int]
    environment: dict[str, str]

    def worker(self, name: str = "worker", **settings: str) -> Child:
        """One more worker, which works while inside."""
        told = {f"CLARION_{key.upper()}": value for key, value in settings.items()}
        return Child(name, [script("clarion-worker")], self.place, '"working"', self.environment | told)


@contextmanager
def directory() -> Iterator[Path]:
    """A place on the disk that the project is on: fsync costs there what it costs."""
    KEPT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=KEPT, prefix="bench-") as name:
        yield Path(name)


@contextmanager
def sink(place: Path, *, name: str = "sink", timed: bool = False, options: Sequence[object] = ()) -> Iterator[Child]:
    """The counting sink; timed, it also notes when each message came. `options` as `support.smtp_sink` has them."""
    command = module("support.smtp_sink", "--fast", *(["--times"] if timed else []), *options)
    with Child(name, command, place, '"port"') as child:
        yield child


@asynccontextmanager
async def stand(
    place: Path,
    *,
    worker: bool = True,
    timed: bool = False,
    maxmemory: str = "1gb",
    profiled: str = "",
    report: Path = Path(os.devnull),
    sink_options: Sequence[object] = (),
    settings: Mapping[str, str] | None = None,
    port: str = "port",
) -> AsyncIterator[Stand]:
    """A Clarion with an empty store and the example campaign LIVE in it.

    `settings` are told besides; mail goes to the sink's port that is called `port`. The process called `profiled`,
    server or worker, runs under cProfile and leaves a `report`.
    """

    def program(name: str) -> list[str]:
        traced = [sys.executable, "-m", "cProfile", "-o", str(report)]
        return [*(traced if name == profiled else []), script(f"clarion-{name}")]

    with ExitStack() as stack:
        own = Path(stack.enter_context(_fresh(place)))
        redis = stack.enter_context(RedisServer(own / "redis", extra={"maxmemory": maxmemory}))
        mail = stack.enter_context(sink(own, timed=timed, options=sink_options))
        told = _settings(redis, mail.said[port]) | dict(settings or {})
        server = stack.enter_context(Child("server", program("server"), own, '"serving"', told))
        pids = {"redis": redis.pid or 0, "server": server.pid, "sink": mail.pid}
        if worker:
            room = stack.enter_context(Child("worker", program("worker"), own, '"working"', told))
            [pids["renderer"]] = children_of(room.pid)
            pids["worker"] = room.pid
        clarion = Stand(
            place=own,
            target=str(server.said["address"]),
            redis_url=redis.url,
            sink_port=mail.said["port"],
            mail_port=mail.said[port],
            pids=pids,
            environment=told,
        )
        await add_campaign(clarion, orders.CAMPAIGN_ID)
        yield clarion


def _settings(redis: RedisServer, smtp_port: int) -> dict[str, str]:
    return {
        "CLARION_REDIS_URL": redis.url,
        "CLARION_LOG_FORMAT": "json",
        "CLARION_LISTEN": "127.0.0.1:0",
        "CLARION_METRICS": "off",
        "CLARION_SMTP_PORT": str(smtp_port),
    }


async def add_campaign(clarion: Stand, campaign_id: str, **changes: object) -> None:
    """The example campaign under this id, LIVE, with changes to what its file says."""
    source = clarion.place / campaign_id
    shutil.copytree(CAMPAIGN, source, dirs_exist_ok=True)
    file = source / campaign_files.FILE_NAME
    said = yaml.safe_load(file.read_text("utf-8")) | {"id": campaign_id, **changes}
    file.write_text(yaml.safe_dump(said, allow_unicode=True), "utf-8")
    try:
        campaign = campaign_files.read(file).campaign
    except FilesInvalid as error:
        raise BenchError(f"{campaign_id}: {error.problems[0].message}") from None
    async with connect(clarion.target) as client:
        await client.create_campaign(campaign_id, campaign)
        await client.activate_campaign(campaign_id)


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


async def trigger(clarion: Stand, calls: Sequence[bytes]) -> None:
    """Make these calls, a few at once."""
    waiting = iter(calls)
    async with caller(clarion.target) as create:

        async def call_on() -> None:
            for request in waiting:
                await create(request)

        await asyncio.gather(*(call_on() for _ in range(CALLS_AT_ONCE)))


async def in_flight(clarion: Stand, campaign_id: str = orders.CAMPAIGN_ID) -> int:
    """A campaign's deliveries that are not over."""
    async with store_of(clarion) as store:
        return int(await store.command("HGET", key(0, "counts", f"default/{campaign_id}"), "fly") or 0)


def _fresh(place: Path) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir=place, prefix="stand-")
