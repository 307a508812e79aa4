"""`clarion-edge`: the public door."""

from __future__ import annotations

import sys

import uvloop

from clarion_core import collector, program
from clarion_core.configuration.file import ChannelsInvalid
from clarion_core.exposition import MetricsPortTaken
from clarion_core.settings import EdgeSettings
from clarion_core.store.promises import StoreMismatch
from clarion_edge.app import Edge, PortTaken


def main() -> None:
    """Serve until told to stop. Exit code 2: the command line, the settings, a file, a port or the store don't fit."""
    settings = program.begin(EdgeSettings, process="edge", does="Take in what became of messages, until told to stop.")
    try:
        uvloop.run(_run(settings))
    except ChannelsInvalid as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
    except StoreMismatch as error:
        sys.stderr.write(f"clarion-edge: {error.message}\n")
        raise SystemExit(2) from None
    except (PortTaken, MetricsPortTaken) as error:
        sys.stderr.write(f"clarion-edge: {error}\n")
        raise SystemExit(2) from None


async def _run(settings: EdgeSettings) -> None:
    edge = Edge(settings)
    collector.settle()
    await edge.run()


if __name__ == "__main__":
    main()
