"""Addresses of providers that are reached over HTTP."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from clarion_core.configuration.part import WRONG
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


URL_WORDS = "an https:// URL, or http:// to this machine, without query"

BaseUrl = Annotated[str, AfterValidator(_is_safe)]
"""Where a provider is: https, or http on this machine."""
