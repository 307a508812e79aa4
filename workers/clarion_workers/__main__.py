"""`clarion-worker`: takes batches from the queue and sends them."""

from __future__ import annotations

import sys

import uvloop

from clarion_core import collector, program
from clarion_core.configuration.file import ChannelsInvalid
from clarion_core.exposition import MetricsPortTaken
from clarion_core.settings import WorkerSettings
from clarion_core.store.promises import StoreMismatch
from clarion_workers.app import PostRoom


def main() -> None:
    """Run a worker until it is told to stop.

    Exit code 2: the command line, the settings, the channel configuration or the store don't fit.
    """
    settings = program.begin(WorkerSettings, process="worker", does="Send what was triggered, until told to stop.")
    try:
        uvloop.run(_run(settings))
    except StoreMismatch as error:
        sys.stderr.write(f"clarion-worker: {error.message}\n")
        raise SystemExit(2) from None
    except ChannelsInvalid as error:
        sys.stderr.write("".join(f"{line}\n" for line in error.lines))
        raise SystemExit(2) from None
    except MetricsPortTaken as error:
        sys.stderr.write(f"clarion-worker: {error}\n")
        raise SystemExit(2) from None


async def _run(settings: WorkerSettings) -> None:
    worker = PostRoom(settings)
    collector.settle()
    await worker.run()


if __name__ == "__main__":
    main()
