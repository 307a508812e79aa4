"""Addresses of providers that are reached over HTTP."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from clarion_core.configuration.part import WRONG, FilePath, surroundings, text
from clarion_core.settings import is_loopback


def _is_safe(url: str) -> str:
    try:
        parts = urlsplit(url)
        safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
        fits = bool(parts.hostname) and parts.port != 0 and not (parts.query or parts.fragment or parts.username)
    except ValueError:
        safe = fits = False
    if not (safe and fits):
        raise PydanticCustomError(WRONG, "is no such URL")
    return url.rstrip("/")


def _holds_certificates(path: Path | None, info: ValidationInfo) -> Path | None:
    try:
        if path is not None and surroundings(info).environment is not None:
            ssl.create_default_context(cafile=path)
    except OSError:  # of which SSLError is one
        raise PydanticCustomError(WRONG, "can't be read") from None
    return path


URL_WORDS = "an https:// URL, or http:// to this machine, without query"

BaseUrl = Annotated[str, AfterValidator(_is_safe)]
"""Where a provider is: https, or http on this machine."""

Authorities = Annotated[FilePath | None, AfterValidator(_holds_certificates)]
"""Whom to trust for TLS besides nobody: a PEM file; None: the system's authorities."""

AUTHORITIES = text("the path of a readable PEM file of certificates")
