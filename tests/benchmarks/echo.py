"""The baseline of accepting: a bare grpc.aio server that reads the same message and answers with it."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from typing import Any

import grpc
import uvloop

from benchmarks.orders import METHOD
from clarion.v1.trigger_service_pb2 import CreateTriggerRequest


async def _echo(request: CreateTriggerRequest, _: grpc.aio.ServicerContext[Any, Any]) -> CreateTriggerRequest:
    return request


async def _run() -> None:
    service, _, name = METHOD.removeprefix("/").partition("/")
    handler = grpc.unary_unary_rpc_method_handler(
        _echo,
        request_deserializer=CreateTriggerRequest.FromString,
        response_serializer=CreateTriggerRequest.SerializeToString,
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {name: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(json.dumps({"port": port}), flush=True)  # noqa: T201
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await server.stop(None)


def main() -> None:
    """Run as a process; says its port."""
    parser = argparse.ArgumentParser(description="a bare grpc.aio echo")
    parser.add_argument("--uvloop", action="store_true")
    arguments = parser.parse_args()
    (uvloop.run if arguments.uvloop else asyncio.run)(_run())


if __name__ == "__main__":
    main()
