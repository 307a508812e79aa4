"""Logs: one line an event, JSON for machines or coloured for a terminal, on stderr.

An event is a short name in the past tense; ids are `trigger`, `delivery`, `batch`, `campaign`, `workspace`. No
personal data and no secret at info level or above: no address, no name, no context, no provider's words. A logged
exception shows its traceback and its message, never the values of variables.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import msgspec
import structlog

from clarion_core.settings import CoreSettings

_encode = msgspec.json.Encoder(enc_hook=repr).encode


def configure(settings: CoreSettings, *, process: str) -> None:
    """Set up logging for this process; the standard library's loggers (arq's, grpc's) go the same way."""
    pretty = settings.log_format == "pretty" or (settings.log_format == "auto" and sys.stderr.isatty())
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    common: list[Any] = [
        _Process(process),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Not the renderer's own way to show an exception: that prints every local variable, passwords and addresses too.
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    lines: list[Any] = [plain] if pretty else [structlog.processors.format_exc_info, _json]
    structlog.configure(
        processors=[*common, *lines],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr)
        if pretty
        else structlog.BytesLoggerFactory(file=sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    _adopt_standard_library(common, lines, level)


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of a module."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(module=name)
    return logger


class _Process:
    """Says in every event which process it is of."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, _logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
        event["process"] = self._name
        return event


def _json(_logger: object, _method: str, event: dict[str, Any]) -> bytes:
    return _encode(event)


def _adopt_standard_library(common: list[Any], lines: list[Any], level: int) -> None:
    handler = logging.StreamHandler(sys.stderr)
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=common, processors=[remove_meta, *lines, _as_text])
    )
    root = logging.getLogger()
    root.handlers = [handler]
    # Libraries log arguments and addresses at info: only their warnings are wanted.
    root.setLevel(max(level, logging.WARNING))


def _as_text(_logger: object, _method: str, line: Any) -> str:
    return line.decode() if isinstance(line, bytes) else str(line)
