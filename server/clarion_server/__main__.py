"""`clarion-server`: the gRPC door."""

from __future__ import annotations

import os
import sys

import uvloop

from clarion_core import collector, program
from clarion_core.exposition import MetricsPortTaken
from clarion_core.settings import ServerSettings
from clarion_core.store.promises import StoreMismatch


def main() -> None:
    """Serve until told to stop. Exit code 2: the command line, the settings, the port or the store don't fit."""
    settings = program.begin(ServerSettings, process="server", does="Answer calls over gRPC, until told to stop.")
    try:
        uvloop.run(_run(settings))
    except StoreMismatch as error:
        sys.stderr.write(f"clarion-server: {error.message}\n")
        raise SystemExit(2) from None
    except MetricsPortTaken as error:
        sys.stderr.write(f"clarion-server: {error}\n")
        raise SystemExit(2) from None
    except RuntimeError as error:
        if "Failed to bind" not in str(error):
            raise
        sys.stderr.write(f"clarion-server: CLARION_LISTEN {settings.listen} can't be bound; is it in use?\n")
        raise SystemExit(2) from None


async def _run(settings: ServerSettings) -> None:
    # gRPC's own lines on stderr are no events, and what they tell is told here: a port in use, for one. It reads the
    # variable when it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from clarion_server.app import Server

    server = Server(settings)
    collector.settle()
    await server.run()


if __name__ == "__main__":
    main()
