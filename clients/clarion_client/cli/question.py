"""Asking a person at a terminal before something is done that can't be undone."""

from __future__ import annotations

import asyncio
import sys

from clarion_client.cli.session import Session


def can_ask(session: Session) -> bool:
    """Whether a person is there to ask: input and messages are a terminal's."""
    return sys.stdin.isatty() and session.out.stderr.is_terminal


async def says_yes(session: Session, question: str) -> bool:
    """Whether the person says yes; an empty line is a no. Ctrl-C ends the command, as everywhere."""
    typed = asyncio.Event()
    loop, terminal = asyncio.get_running_loop(), sys.stdin.fileno()
    session.out.stderr.print(f"{question} [y/N] ", end="")
    loop.add_reader(terminal, typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(terminal)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
