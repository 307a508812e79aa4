"""The bare loop: Clarion's own rendering, MIME and SMTP code in one process, with no queue, store or contract."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import uvloop

from benchmarks import orders
from clarion_core.content.compiled import CompiledContent
from clarion_core.content.types import HTML, SUBJECT, TEXT, Plain, RenderedTexts, RenderRequest
from clarion_core.domain.medium import Channel
from clarion_core.domain.outcome import Sent
from clarion_core.settings import WorkerSettings
from clarion_workers.channels.email import EmailChannel, EmailMessage, from_settings
from support.example_orders import revision

BATCH = orders.A_CALL
AT_ONCE = WorkerSettings.model_fields["jobs"].default  # batches in hand, as in a worker


class Writer:
    """Makes messages of orders."""

    def __init__(self) -> None:
        self._revision = revision()
        self._email = CompiledContent(self._revision, Channel.EMAIL)

    def write(self, numbered: Sequence[tuple[int, dict[str, Any]]]) -> list[EmailMessage]:
        """The messages of these orders."""
        requests = [self._request(**order) for _, order in numbered]
        rendered = [self._email.render(request) for request in requests]
        now_s = time.time()
        return [
            self._message(f"bare-{number}", request, result, now_s)
            for (number, _), request, result in zip(numbered, requests, rendered, strict=True)
            if isinstance(result, RenderedTexts)
        ]

    def _request(self, addresses: dict[str, str], **rest: Any) -> RenderRequest[Plain]:
        return RenderRequest(email=addresses["email"], shared={}, **rest)

    def _message(
        self, delivery_id: str, request: RenderRequest[Plain], result: RenderedTexts, now_s: float
    ) -> EmailMessage:
        email = self._revision.definition.email
        assert email
        return EmailMessage(
            delivery_id=delivery_id,
            sender=email.sender,
            reply_to=email.reply_to,
            to_address=request.email,
            subject=result.get(SUBJECT),
            html=result.texts[HTML],
            text=result.texts[TEXT],
            date_s=now_s,
        )


class Loop:
    """Sends orders as fast as one process can."""

    def __init__(self, smtp_port: int, ca_file: Path | None = None) -> None:
        security = "tls" if ca_file else "none"
        settings = WorkerSettings(smtp_port=smtp_port, smtp_security=security, smtp_ca_file=ca_file)
        self._email = EmailChannel(from_settings(settings))
        self._writer = Writer()

    async def run(self, count: int) -> float:
        """Send this many; the seconds it took until the last one was taken."""
        source = enumerate(list(orders.plain(count)))
        started = time.perf_counter()
        sent = await asyncio.gather(*(self._batches(source) for _ in range(AT_ONCE)))
        took = time.perf_counter() - started
        if sum(sent) != count:
            raise SystemExit(f"{count - sum(sent)} messages were not sent")
        return took

    async def close(self) -> None:
        """Let go of the connections."""
        await self._email.close()

    async def _batches(self, source: Iterator[tuple[int, dict[str, Any]]]) -> int:
        sent = 0
        while batch := list(islice(source, BATCH)):
            outcomes = await self._email.send(self._writer.write(batch))
            sent += sum(isinstance(outcome, Sent) for outcome in outcomes)
        return sent


def messages_of(count: int) -> list[EmailMessage]:
    """The first orders as messages."""
    return Writer().write(list(enumerate(orders.plain(count))))


async def _run(smtp_port: int, count: int, ca_file: Path | None) -> None:
    loop = Loop(smtp_port, ca_file)
    await loop.run(BATCH)  # compiles the templates and opens the connections
    print('{"event": "ready"}', flush=True)  # noqa: T201
    before = time.process_time()
    took = await loop.run(count)
    print(json.dumps({"seconds": took, "cpu_s": time.process_time() - before}), flush=True)  # noqa: T201
    await loop.close()


def main() -> None:
    """Run as a process; says how long it took."""
    parser = argparse.ArgumentParser(description="the bare loop")
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--ca-file", type=Path, help="with TLS, trusting these")
    arguments = parser.parse_args()
    uvloop.run(_run(arguments.smtp_port, arguments.count, arguments.ca_file))


if __name__ == "__main__":
    main()
