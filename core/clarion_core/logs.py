"""Logs: one line an event, JSON for machines or coloured for a terminal, on stderr.

An event is a short name in the past tense; ids are `trigger`, `delivery`, `batch`, `campaign`, `workspace`. No
personal data and no secret at info level or above: no address, no name, no context, no provider's words.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import msgspec
import structlog

from clarion_core.settings import CoreSettings


def configure(settings: CoreSettings, *, process: str) -> None:
    """Set up logging for this process; the standard library's loggers (arq's, grpc's) go the same way."""
    pretty = settings.log_format == "pretty" or (settings.log_format == "auto" and sys.stderr.isatty())
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = (
        structlog.dev.ConsoleRenderer()
        if pretty
        else structlog.processors.JSONRenderer(serializer=lambda event, **_: msgspec.json.encode(event).decode())
    )
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer] if not pretty else [*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    _adopt_standard_library(shared, renderer, level)


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of a module."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(module=name)
    return logger


def _adopt_standard_library(shared: list[Any], renderer: Any, level: int) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    # Libraries log arguments and addresses at info: only their warnings are wanted.
    root.setLevel(max(level, logging.WARNING))
