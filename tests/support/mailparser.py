"""What npm's mailparser, a reader that nobody here wrote, finds in a message."""

from __future__ import annotations

import json
import os
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from support.node import node_binary
from support.peers.npm import HERE, packages


class MailParser:
    """A running mailparser."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def parse(self, content: bytes) -> dict[str, Any]:
        """What it finds; mailparser.mjs says in which form."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(b64encode(content) + b"\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found


@contextmanager
def running() -> Iterator[MailParser]:
    """Start one, and end it."""
    with subprocess.Popen(
        [str(node_binary()), str(HERE / "mailparser.mjs")],
        env=os.environ | {"PEER_PACKAGES": f"{packages()}/"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        yield MailParser(process)
        assert process.stdin
        process.stdin.close()
