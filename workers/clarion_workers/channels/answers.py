"""What a status of HTTP says of a message by itself (RFC 9110 §15), where its provider says no more.

A status below 500 was given by somebody who looked at the request and did not take it. 503 says that it was not looked
at. After 500, 502 and 504 the message may be on its way: something broke behind whoever answers.
"""

from __future__ import annotations

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import Ambiguous, Outcome, PermanentFailure, TransientFailure
from clarion_workers.channels.http import Answer

_ACCOUNT = frozenset({401, 402, 403, 407})  # who we are, or what we have paid for
_NOT_THERE = frozenset({404, 405, 410, 421, 501, 505})  # it is not what answers here
_LATER = frozenset({408, 425, 429, 503})


def refused(answer: Answer, detail: str) -> Outcome:
    """The outcome of an answer that is no success. `detail` is what the provider said."""
    status = answer.status
    if status in _ACCOUNT:
        return TransientFailure(reason=Reason.PROVIDER_CREDENTIALS, detail=detail)
    if status in _LATER:
        return TransientFailure(reason=Reason.PROVIDER_DEFERRED, detail=detail, retry_after_s=answer.retry_after_s())
    if status < 400 or status in _NOT_THERE:
        return TransientFailure(reason=Reason.PROVIDER_UNREACHABLE, detail=detail)
    if status < 500:
        return PermanentFailure(reason=Reason.MESSAGE_REFUSED, detail=detail)
    return Ambiguous(detail=detail)


def said(answer: Answer, *words: object) -> str:
    """The status and what else was said, as the detail of an outcome."""
    return " ".join([str(answer.status), *(str(word) for word in words if word not in (None, ""))])[:500]
