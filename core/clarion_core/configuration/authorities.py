"""Whom a connection over TLS trusts, as a configuration says it."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from clarion_core.configuration.part import WRONG, FilePath, surroundings, text


def _holds_certificates(path: Path | None, info: ValidationInfo) -> Path | None:
    try:
        if path is not None and surroundings(info).environment is not None:
            ssl.create_default_context(cafile=path)
    except OSError:  # of which SSLError is one
        raise PydanticCustomError(WRONG, "can't be read") from None
    return path


Authorities = Annotated[FilePath | None, AfterValidator(_holds_certificates)]
"""A PEM file of the authorities to trust; None: the system's."""

AUTHORITIES = text("the path of a readable PEM file of certificates")
