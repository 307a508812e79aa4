"""What the SMPP client is told about its SMSC."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from clarion_core.configuration.smpp import SmppPart
from clarion_workers.channels.sms.smpp.ids import ReceiptIds
from clarion_workers.channels.sms.text import DefaultAlphabet


@dataclass(frozen=True, slots=True, kw_only=True)
class SmppConfig:
    """Where and how messages are handed over. Times are seconds.

    `timeout_s` bounds the wait for each response; after `enquire_s` without a word the SMSC is asked whether it is
    there. `binds` connections have at most `window` unanswered segments each. `receipts`: they are asked for;
    `receipt_ids`: how they write ids, see ids.py.
    """

    host: str
    port: int
    tls: bool = False
    ca_file: Path | None = None
    system_id: str = ""
    password: str = field(default="", repr=False)
    system_type: str = ""
    service_type: str = ""
    binds: int = 1
    window: int = 10
    timeout_s: float = 30.0
    enquire_s: float = 30.0
    default_alphabet: DefaultAlphabet = "gsm"
    receipts: bool = True
    receipt_ids: ReceiptIds = "as_sent"

    def context(self) -> ssl.SSLContext | None:
        """The TLS context, where there is TLS: certificates and host names are always verified.

        `OSError` (of which `ssl.SSLError` is one) where `ca_file` can't be read.
        """
        return ssl.create_default_context(cafile=self.ca_file) if self.tls else None


def from_part(smpp: SmppPart, password: str) -> SmppConfig:
    """An SMSC as a configuration describes it."""
    return SmppConfig(
        host=smpp.host,
        port=smpp.port,
        tls=smpp.security == "tls",
        ca_file=smpp.ca_file,
        system_id=smpp.system_id,
        password=password,
        system_type=smpp.system_type,
        service_type=smpp.service_type,
        binds=smpp.binds,
        window=smpp.window,
        timeout_s=smpp.timeout_s,
        enquire_s=smpp.enquire_s,
        default_alphabet=smpp.default_alphabet,
        receipts=smpp.receipts,
        receipt_ids=smpp.receipt_ids,
    )
