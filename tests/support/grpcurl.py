"""grpcurl's command line on top of `buf curl`, as far as a README uses it: another program, the same question.

`grpcurl -plaintext [-H HEADER]… [-d JSON] HOST:PORT SERVICE/METHOD`, and `… HOST:PORT list [SERVICE]`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

BUF = Path(sys.executable).parent / "buf"


def translated(arguments: Sequence[str]) -> list[str]:
    """The same call for `buf`, or SystemExit for what is not understood."""
    parser = argparse.ArgumentParser(prog="grpcurl", allow_abbrev=False)
    parser.add_argument("-plaintext", action="store_true", required=True)
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-d", dest="data")
    parser.add_argument("address")
    parser.add_argument("method")
    parser.add_argument("service", nargs="?")
    asked = parser.parse_args(arguments)
    command = ["curl", "--http2-prior-knowledge", "--protocol", "grpc"]
    for header in asked.headers:
        command += ["--header", header]
    if asked.method in ("list", "describe"):  # buf describes nothing: that it is there is what can be seen
        return [*command, "--list-methods", f"http://{asked.address}"]
    if asked.data is not None:
        command += ["--data", asked.data]
    return [*command, f"http://{asked.address}/{asked.method}"]


def install(folder: Path) -> None:
    """Put a program called grpcurl into this folder."""
    program = folder / "grpcurl"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" "$@"\n')
    program.chmod(0o755)


if __name__ == "__main__":
    os.execv(BUF, ["buf", *translated(sys.argv[1:])])
