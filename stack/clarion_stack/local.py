"""What the local stack consists of, and what each part is told."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from clarion_core.environment import load
from clarion_core.settings import OFF, EdgeSettings, ServerSettings, WorkerSettings
from clarion_core.store.promises import FORMAT
from clarion_stack.child import Output, Program
from clarion_stack.directory import DirectoryLock
from clarion_stack.errors import InUse, StackError
from clarion_stack.peers import Peers
from clarion_stack.redis import RedisServer
from clarion_stack.returning import Returning

LOOPBACK = "127.0.0.1"
BOUNCED = "nobody@mailbox.test"
"""Mail to this address comes back, so that everybody can see a bounce."""
UP_ALREADY = (
    "Clarion is already up here (process {process}): stop it with Ctrl-C there, or have a second one beside it: "
    "CLARION_LISTEN=127.0.0.1:0 clarion-stack up --directory .clarion/second"
)
DEMO_ALREADY = "a demo already runs here (process {process}): wait for its end, or stop it with Ctrl-C there"


class Caught(StrEnum):
    """Whose messages a stack catches; what is not caught it does not send."""

    EMAIL = "email"
    ALL = "all"


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalStack:
    """One stack: a store, a catcher, a server, its workers, and the public door. What is None is somebody else's and
    not started.
    """

    home: Path
    listen: str
    metrics: str  # where the server exposes them, or off
    redis_url: str = field(repr=False)  # somebody else's may hold a password
    redis: RedisServer | None
    shards: int
    mailbox: Path
    mark: str = ""  # in the name of every message's file
    smtp_port: int | None
    peers: Peers | None  # who takes what is no mail
    edge: str  # where the public door listens
    returning: Returning | None  # where caught mail comes back to
    bounced: str = ""  # mail to this address comes back
    workers: int
    taken: str  # what to say, with the process in it, where another one has the home

    @property
    def page(self) -> Path:
        """The page that shows what was caught."""
        return self.mailbox / "index.html"

    @property
    def logs(self) -> Path:
        """Where its log files go."""
        return self.home / "log"

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Inside, the home and the store in it are this process's. StackError if another one has them."""
        lock = DirectoryLock(self.home)
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock.take()
        except OSError as error:
            raise StackError(f"{self.home}: {error.strerror}; --directory chooses another place") from None
        except InUse as error:
            raise StackError(self.taken.format(process=error.process)) from None
        try:
            if self.redis is not None:
                self.redis.claim()
            self._write()
            yield
        finally:
            if self.redis is not None:
                self.redis.release()
            lock.release()

    def _write(self) -> None:
        """Write what its programs are told in files. StackError if that fails."""
        try:
            parts = [part.write() for part in (self.returning, self.peers) if part is not None]
            if parts:
                self._channels.write_text("\n".join(parts), "utf-8")
        except OSError as error:
            raise StackError(f"{self.home}: {error.strerror}; --directory chooses another place") from None

    @property
    def _channels(self) -> Path:
        """Its workers' channel configuration."""
        return self.home / "channels.yaml"

    def stages(self, redis_log: Output | None = None) -> list[list[Program]]:
        """The programs, those that others need first; `redis_log` takes what Redis writes. Only after `claimed`."""
        environment = self.environment()
        server = Program(name="server", command=[script("clarion-server")], ready="serving", environment=environment)
        workers = [
            Program(
                name=name,
                command=[script("clarion-worker")],
                ready="working",
                environment={**environment, "CLARION_METRICS": OFF},  # one port for all of them would be taken
                may_end=True,  # by `clarion workers drain`
            )
            for name in (["worker"] if self.workers == 1 else [f"worker-{at}" for at in range(1, self.workers + 1)])
        ]
        edge = Program(
            name="edge",
            command=[script("clarion-edge")],
            ready="serving",
            environment={**environment, "CLARION_METRICS": OFF},
        )
        return [[*self._store(redis_log), *self._catcher()], [server, edge], workers]

    def environment(self) -> dict[str, str]:
        """The environment of this process, and in it what every program of the stack is told."""
        told = {
            "CLARION_LISTEN": self.listen,
            "CLARION_METRICS": self.metrics,
            "CLARION_EDGE_LISTEN": self.edge,
            "CLARION_REDIS_URL": self.redis_url,
            "CLARION_LOG_FORMAT": "json",
            # The lines by which programs say that they are ready are at info.
            "CLARION_LOG_LEVEL": "debug" if os.environ.get("CLARION_LOG_LEVEL") == "debug" else "info",
        }
        if self.returning or self.peers:
            told["CLARION_CHANNELS"] = str(self._channels)
        if self.smtp_port is None:
            return {**os.environ, **told}
        others = ("CLARION_SMTP_", "CLARION_CHANNELS")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
        if self.returning:
            return {**kept, **told, **self.returning.environment()}
        return {**kept, **told, "CLARION_SMTP_HOST": LOOPBACK, "CLARION_SMTP_PORT": str(self.smtp_port)}

    def _store(self, log: Output | None) -> list[Program]:
        if self.redis is None:
            return []
        command, held = self.redis.command(), [self.redis.lock_fd]
        return [Program(name="redis", command=command, ready=self.redis.answers, inherited_fds=held, output=log)]

    def _catcher(self) -> list[Program]:
        if self.smtp_port is None and self.peers is None:
            return []
        port = [] if self.smtp_port is None else ["--port", str(self.smtp_port)]
        options = ["--directory", str(self.mailbox), *port, *(["--mark", self.mark] if self.mark else [])]
        if self.returning and self.bounced:
            options += ["--bounce", self.bounced, "--inlet", str(self.returning.inlet_port)]
        name, also = ("catcher", ["catch", *self.peers.options()]) if self.peers else ("mail", ["mail"])
        command = [script("clarion-stack"), *also, *options]
        return [Program(name=name, command=command, ready="catching", environment=self.environment())]


def for_use(directory: Path, workers: int, caught: Caught = Caught.ALL) -> LocalStack:
    """The stack of `clarion-stack up`: where the settings name a Redis or providers, theirs are used."""
    server, worker = load(ServerSettings), load(WorkerSettings)
    redis = None if "redis_url" in server.model_fields_set else RedisServer(directory / "redis")
    host, _, port = server.listen.rpartition(":")
    home = directory.absolute()
    smtp_port = None if {"smtp_host", "channels"} & worker.model_fields_set else free_port()
    theirs = "receipts" in load(EdgeSettings).model_fields_set  # who may tell what became of messages
    return LocalStack(
        home=home,
        listen=server.listen if port != "0" else f"{host}:{free_port()}",
        metrics=_metrics(server),
        redis_url=redis.url if redis else server.redis_url,
        redis=redis,
        shards=server.shards,
        mailbox=home / "mail",
        smtp_port=smtp_port,
        peers=None if "channels" in worker.model_fields_set else _peers(home, caught),
        edge=_edge(load(EdgeSettings)),
        returning=_returning(home, smtp_port) if smtp_port and not theirs else None,
        bounced=BOUNCED,
        workers=workers,
        taken=UP_ALREADY,
    )


def for_demo(directory: Path, bounced: str, caught: Caught = Caught.EMAIL) -> LocalStack:
    """The demo's: beside a stack that may be up, and its messages are caught whatever the settings say.

    Mail to the address `bounced` comes back.
    """
    server, home, smtp_port = load(ServerSettings), directory.absolute() / "demo", free_port()
    redis = None if "redis_url" in server.model_fields_set else RedisServer(directory / "demo" / f"redis-{FORMAT}")
    return LocalStack(
        home=home,
        listen=f"{LOOPBACK}:{free_port()}",
        metrics=OFF,
        redis_url=redis.url if redis else server.redis_url,
        redis=redis,
        shards=server.shards,
        mailbox=directory.absolute() / "mail",
        mark="demo",
        smtp_port=smtp_port,
        peers=_peers(home, caught),
        edge=f"{LOOPBACK}:{free_port()}",
        returning=_returning(home, smtp_port),
        bounced=bounced,
        workers=1,
        taken=DEMO_ALREADY,
    )


def _returning(home: Path, smtp_port: int) -> Returning:
    """For mail that is caught."""
    return Returning(home=home, host=LOOPBACK, smtp_port=smtp_port, inlet_port=free_port())


def _peers(home: Path, caught: Caught) -> Peers | None:
    if caught is Caught.EMAIL:
        return None
    return Peers(home=home, host=LOOPBACK, sms=free_port(), push=free_port(), webhook=free_port())


def _edge(edge: EdgeSettings) -> str:
    """Where the public door listens: beside another stack, which has the usual port, at a free one."""
    host, _, port = edge.edge_listen.rpartition(":")
    asked = "edge_listen" in edge.model_fields_set
    if port != "0" and (asked or _is_free(int(port))):
        return edge.edge_listen
    return f"{host}:{free_port()}"


def _metrics(server: ServerSettings) -> str:
    """Where the server exposes metrics: beside another stack, which has the usual port, at a free one."""
    host, _, port = server.metrics.rpartition(":")
    asked = "metrics" in server.model_fields_set
    if not host or (port != "0" and (asked or _is_free(int(port)))):
        return server.metrics or OFF
    return f"{host}:{free_port()}"


def _is_free(port: int) -> bool:
    try:
        socket.create_server((LOOPBACK, port)).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """A TCP port nobody listens on, known before the programs start, so that a restarted one keeps its address.

    For a minute the system gives it to nobody who takes any port: a connection of it is in TIME_WAIT (RFC 9293 §3.3.2),
    beside which only those may bind it who name it and set SO_REUSEADDR, as servers do.
    """
    with socket.create_server((LOOPBACK, 0)) as server, socket.create_connection(server.getsockname()):
        port: int = server.getsockname()[1]
        server.accept()[0].close()  # the side that closes first is the one that waits
    return port


def script(name: str) -> str:
    """The absolute path of a command that is installed with this package. StackError if it isn't there."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        raise StackError(f"{path} is missing: install this project first (make does)")
    return str(path)
