"""What the local stack consists of, and what each part is told."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from clarion_core.settings import ServerSettings, WorkerSettings, load
from clarion_stack.child import Program
from clarion_stack.errors import StackError
from clarion_stack.redis import RedisServer

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalStack:
    """One stack: a store, a mailbox, a server and its workers. What is None is somebody else's and not started."""

    listen: str
    redis_url: str
    redis: RedisServer | None
    mailbox: Path
    smtp_port: int | None
    workers: int

    @property
    def page(self) -> Path:
        """The page that shows the caught mail."""
        return self.mailbox / "index.html"

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Inside, the store's directory is this process's. StackError if it is another one's."""
        if self.redis is None:
            yield
            return
        self.redis.claim()
        try:
            yield
        finally:
            self.redis.release()

    def stages(self) -> list[list[Program]]:
        """The programs, those that others need first. Only after `claimed`."""
        environment = self.environment()
        server = Program(name="server", command=[script("clarion-server")], ready="serving", environment=environment)
        workers = [
            Program(name=name, command=[script("clarion-worker")], ready="working", environment=environment)
            for name in (["worker"] if self.workers == 1 else [f"worker-{at}" for at in range(1, self.workers + 1)])
        ]
        return [[*self._store(), *self._catcher()], [server], workers]

    def environment(self) -> dict[str, str]:
        """The environment of this process, and in it what every program of the stack is told."""
        told = {
            "CLARION_LISTEN": self.listen,
            "CLARION_REDIS_URL": self.redis_url,
            "CLARION_LOG_FORMAT": "json",
            # The lines by which programs say that they are ready are at info.
            "CLARION_LOG_LEVEL": "debug" if os.environ.get("CLARION_LOG_LEVEL") == "debug" else "info",
        }
        if self.smtp_port is None:
            return {**os.environ, **told}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CLARION_SMTP_")}
        return {**kept, **told, "CLARION_SMTP_HOST": LOOPBACK, "CLARION_SMTP_PORT": str(self.smtp_port)}

    def _store(self) -> list[Program]:
        if self.redis is None:
            return []
        command, held = self.redis.command(), [self.redis.lock_fd]
        return [Program(name="redis", command=command, ready=self.redis.answers, inherited_fds=held)]

    def _catcher(self) -> list[Program]:
        if self.smtp_port is None:
            return []
        command = [script("clarion-stack"), "mail", "--directory", str(self.mailbox), "--port", str(self.smtp_port)]
        return [Program(name="mail", command=command, ready="catching", environment=self.environment())]


def for_use(directory: Path, workers: int) -> LocalStack:
    """The stack of `clarion-stack up`: where the settings name a Redis or an SMTP server, theirs is used."""
    server, worker = load(ServerSettings), load(WorkerSettings)
    redis = None if "redis_url" in server.model_fields_set else RedisServer(directory / "redis")
    host, _, port = server.listen.rpartition(":")
    return LocalStack(
        listen=server.listen if port != "0" else f"{host}:{free_port()}",
        redis_url=redis.url if redis else server.redis_url,
        redis=redis,
        mailbox=directory.absolute() / "mail",
        smtp_port=None if "smtp_host" in worker.model_fields_set else free_port(),
        workers=workers,
    )


def for_demo(directory: Path) -> LocalStack:
    """The demo's: beside a stack that may be up, and its mail is caught whatever the settings say."""
    server = load(ServerSettings)
    redis = None if "redis_url" in server.model_fields_set else RedisServer(directory / "demo" / "redis")
    return LocalStack(
        listen=f"{LOOPBACK}:{free_port()}",
        redis_url=redis.url if redis else server.redis_url,
        redis=redis,
        mailbox=directory.absolute() / "mail",
        smtp_port=free_port(),
        workers=1,
    )


def free_port() -> int:
    """A TCP port nobody listens on now. Taken before the programs start, so that a restarted one keeps its address."""
    with socket.create_server((LOOPBACK, 0)) as server:
        port: int = server.getsockname()[1]
        return port


def script(name: str) -> str:
    """The absolute path of a command that is installed with this package. StackError if it isn't there."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        raise StackError(f"{path} is missing: install this project first (make does)")
    return str(path)


def summary(stack: LocalStack) -> Mapping[str, str]:
    """Where everything is, for people."""
    caught = f"{stack.page.as_uri()} (SMTP on {LOOPBACK}:{stack.smtp_port})"
    return {
        "gRPC": stack.listen,
        "Store": stack.redis_url if stack.redis else "where CLARION_REDIS_URL says",
        "Mail": caught if stack.smtp_port else "goes where CLARION_SMTP_HOST says",
    }
