"""What an SMSC's statuses mean for a message (SMPP 3.4 §5.1.3), by the specification's names."""

from __future__ import annotations

from collections.abc import Mapping

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import PermanentFailure, TransientFailure

OK = 0
INVALID_COMMAND = 0x03  # ESME_RINVCMDID
TRY_AGAIN = 0x64  # ESME_RX_T_APPN: what we answer when we could not take something for now
REFUSED = 0x66  # ESME_RX_R_APPN: what we answer when we shall never take it

NAMES: Mapping[int, str] = {
    0x00: "ESME_ROK",
    0x01: "ESME_RINVMSGLEN",
    0x02: "ESME_RINVCMDLEN",
    0x03: "ESME_RINVCMDID",
    0x04: "ESME_RINVBNDSTS",
    0x05: "ESME_RALYBND",
    0x06: "ESME_RINVPRTFLG",
    0x07: "ESME_RINVREGDLVFLG",
    0x08: "ESME_RSYSERR",
    0x0A: "ESME_RINVSRCADR",
    0x0B: "ESME_RINVDSTADR",
    0x0C: "ESME_RINVMSGID",
    0x0D: "ESME_RBINDFAIL",
    0x0E: "ESME_RINVPASWD",
    0x0F: "ESME_RINVSYSID",
    0x11: "ESME_RCANCELFAIL",
    0x13: "ESME_RREPLACEFAIL",
    0x14: "ESME_RMSGQFUL",
    0x15: "ESME_RINVSERTYP",
    0x33: "ESME_RINVNUMDESTS",
    0x34: "ESME_RINVDLNAME",
    0x40: "ESME_RINVDESTFLAG",
    0x42: "ESME_RINVSUBREP",
    0x43: "ESME_RINVESMCLASS",
    0x44: "ESME_RCNTSUBDL",
    0x45: "ESME_RSUBMITFAIL",
    0x48: "ESME_RINVSRCTON",
    0x49: "ESME_RINVSRCNPI",
    0x50: "ESME_RINVDSTTON",
    0x51: "ESME_RINVDSTNPI",
    0x53: "ESME_RINVSYSTYP",
    0x54: "ESME_RINVREPFLAG",
    0x55: "ESME_RINVNUMMSGS",
    0x58: "ESME_RTHROTTLED",
    0x61: "ESME_RINVSCHED",
    0x62: "ESME_RINVEXPIRY",
    0x63: "ESME_RINVDFTMSGID",
    0x64: "ESME_RX_T_APPN",
    0x65: "ESME_RX_P_APPN",
    0x66: "ESME_RX_R_APPN",
    0x67: "ESME_RQUERYFAIL",
    0xC0: "ESME_RINVOPTPARSTREAM",
    0xC1: "ESME_ROPTPARNOTALLWD",
    0xC2: "ESME_RINVPARLEN",
    0xC3: "ESME_RMISSINGOPTPARAM",
    0xC4: "ESME_RINVOPTPARAMVAL",
    0xFE: "ESME_RDELIVERYFAILURE",
    0xFF: "ESME_RUNKNOWNERR",
}

THROTTLING = frozenset((0x14, 0x58))
"""Too much at once: the message may come again, and everything else has to wait."""

UNBOUND = 0x04
"""The session is none any more."""

_RECIPIENT = frozenset((0x0B,))
# The message itself: its length, its time, or whatever the receiving application has against it.
_MESSAGE = frozenset((0x01, 0x61, 0x62, 0x65, 0x66))
# What we asked for is not for this SMSC, or not for this account; another provider may carry it.
_UNSUPPORTED = frozenset(
    {
        *(0x02, 0x03, 0x06, 0x07, 0x0A, 0x15, 0x33, 0x34, 0x40, 0x42, 0x43, 0x44),
        *(0x48, 0x49, 0x50, 0x51, 0x54, 0x55, 0x63, 0xC0, 0xC1, 0xC2, 0xC3, 0xC4),
    }
)
_DELAYED = frozenset((0xFE,))  # about this recipient, for now

_CREDENTIALS = frozenset((0x0D, 0x0E, 0x0F, 0x53))


def shown(status: int) -> str:
    """A status as the specification calls it; those that it leaves to vendors in hexadecimal."""
    return NAMES.get(status, f"status 0x{status:08x}")


def refusal(status: int) -> PermanentFailure | TransientFailure:
    """What a refused submit_sm means: in every case, the SMSC has not got it.

    What only vendors know is for now: a campaign's retry policy ends it.
    """
    detail = f"refused: {shown(status)}"
    if status in _RECIPIENT:
        return PermanentFailure(reason=Reason.RECIPIENT_REFUSED, detail=detail)
    if status in _MESSAGE:
        return PermanentFailure(reason=Reason.MESSAGE_REFUSED, detail=detail)
    if status in _UNSUPPORTED:
        return PermanentFailure(reason=Reason.PROVIDER_UNSUPPORTED, detail=detail)
    if status in _DELAYED:
        return TransientFailure(reason=Reason.RECIPIENT_DEFERRED, detail=detail)
    return TransientFailure(reason=Reason.PROVIDER_DEFERRED, detail=detail)


def bind_refusal(status: int) -> TransientFailure:
    """What a refused bind means for a message. Never the end of it: the message is not at fault."""
    reason = Reason.PROVIDER_CREDENTIALS if status in _CREDENTIALS else Reason.PROVIDER_DEFERRED
    return TransientFailure(reason=reason, detail=f"bind refused: {shown(status)}")
