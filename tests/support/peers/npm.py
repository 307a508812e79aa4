"""The peers that are written in JavaScript: their packages, installed once, and programs of ours that use them."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from support.node import node_binary, npm_ci

HERE = Path(__file__).parent
CACHE = Path(__file__).parents[3] / ".cache" / "peers"


def packages() -> Path:
    """A directory in whose node_modules is what package-lock.json here says; installed by whoever asks first."""
    lock = (HERE / "package-lock.json").read_bytes()
    place = CACHE / hashlib.sha256(lock).hexdigest()[:16]
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (place / "installed").exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, place)
            done = npm_ci(node_binary(), place)
            assert done.returncode == 0, done.stderr
            (place / "installed").touch()
    return place


@asynccontextmanager
async def program(script: str, *arguments: str) -> AsyncIterator[dict[str, Any]]:
    """A script of this directory, running; what it says of itself first, as one line of JSON.

    It finds its packages with `createRequire(process.env.PEER_PACKAGES)`, and ends when its standard input does.
    """
    place = await asyncio.to_thread(packages)
    process = await asyncio.create_subprocess_exec(
        str(node_binary()),
        str(HERE / script),
        *arguments,
        env=os.environ | {"PEER_PACKAGES": f"{place}/"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin
    assert process.stdout
    try:
        said = await process.stdout.readline()
        assert said, f"{script} ended at once"
        yield json.loads(said)
    finally:
        process.stdin.close()
        await process.wait()
