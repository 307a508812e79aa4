"""h2 as a client that has hundreds of requests on the way: without what it does for each of them for each of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings
from hpack import Encoder

_LOOK_EVERY = 256


class Client(H2Connection):
    """It leaves to its owner not to begin more streams than the server takes: h2 looks through all of them each time.

    That look also forgets streams that are over, so it is had now and then.
    """

    def __init__(self) -> None:
        super().__init__(config=H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False))
        self.local_settings = Settings(client=True, initial_values={SettingCodes.ENABLE_PUSH: 0})
        self.encoder = _Encoder()
        self._begun = 0

    @property
    def open_outbound_streams(self) -> int:
        """The streams that are open; but none, most times that it is asked."""
        self._begun += 1
        return 0 if self._begun % _LOOK_EVERY else super().open_outbound_streams


class _Encoder(Encoder):
    """Writes texts as they are: Huffman's code saves a fifth of the octets, and costs more than all else here."""

    def encode(self, headers: Iterable[Any], huffman: bool = False) -> bytes:
        """The headers (hpack)."""
        return super().encode(headers, huffman)
