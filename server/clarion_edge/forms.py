"""Forms, as browsers and providers post them."""

from __future__ import annotations

from urllib.parse import parse_qsl

from clarion_edge.receipt import Malformed

_FIELDS_MAX = 200


def fields(body: bytes) -> list[tuple[str, str]]:
    """The fields of application/x-www-form-urlencoded, in order; `Malformed` for more than 200, and for other bytes."""
    try:
        return parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_FIELDS_MAX)
    except ValueError:  # of which UnicodeDecodeError is one
        raise Malformed("no form") from None
