"""What an endpoint's answer means, and what it means that there is none.

Whatever goes wrong at an endpoint is about the recipient: it says nothing of calls of others, so no breaker counts it.
Only what is wrong with our own way out, a proxy or this machine, is the provider's.
"""

from __future__ import annotations

import errno

import aiohttp

from clarion_core.domain.delivery import Reason
from clarion_core.domain.error_class import ErrorClass
from clarion_core.domain.outcome import Ambiguous, Outcome, PermanentFailure, Sent, TransientFailure
from clarion_workers.channels.guard import forbidden_by
from clarion_workers.channels.http import Answer

WAIT_MAX_S = 86_400.0
"""How long an endpoint's Retry-After is heeded at most: the longest pause of the specification's own table."""

# The same bytes would be too many, or of a wrong type, again. All other failures may be mended at the endpoint, and the
# specification has them repeated.
_MESSAGE = frozenset({413, 415})
# A gateway asked somebody behind it, who did not answer as it should: nobody knows what became of the call there.
_GATEWAY = frozenset({502, 504})
_OUR_OWN = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL})


def meaning(answer: Answer) -> Outcome:
    """What an answer means ("Delivery success and failure"); of it, nothing but the status is told."""
    status, detail = answer.status, f"answered {answer.status}"
    if 200 <= status < 300:
        return Sent(detail=detail)
    if status == 410:
        return PermanentFailure(reason=Reason.ENDPOINT_GONE, detail=detail)
    if status in _MESSAGE:
        return PermanentFailure(reason=Reason.MESSAGE_REFUSED, detail=detail)
    if status in _GATEWAY:
        return Ambiguous(detail=detail, silent=ErrorClass.RECIPIENT)
    if 300 <= status < 400:
        detail += ": redirects are not followed"
    wait_s = answer.retry_after_s()
    return _deferred(detail, None if wait_s is None else min(wait_s, WAIT_MAX_S))


def meaning_of(error: Exception, *, sent: bool) -> Outcome | None:
    """What an error of a call means; None where it is not the endpoint's."""
    if rule := forbidden_by(error):
        return PermanentFailure(reason=Reason.ENDPOINT_FORBIDDEN, detail=f"may not be called: {rule}")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return _of_the_proxy(error)
    if _is_our_own(error) or not isinstance(error, aiohttp.ClientError | TimeoutError | OSError):
        return None
    if sent:
        return Ambiguous(detail=f"no answer: {type(error).__name__}", silent=ErrorClass.RECIPIENT)
    return _deferred(f"no connection: {type(error).__name__}")


def _of_the_proxy(error: aiohttp.ClientHttpProxyError) -> Outcome:
    """A proxy opened no tunnel: that it may not, that it can't, or that it does not know us."""
    detail = f"the proxy answered {error.status}"
    if error.status == 407 and "Proxy-Authenticate" in (error.headers or {}):
        return TransientFailure(reason=Reason.PROVIDER_CREDENTIALS, detail=detail)
    if error.status in {403, 407}:  # smokescreen says 407, and asks for no credentials
        return PermanentFailure(reason=Reason.ENDPOINT_FORBIDDEN, detail=detail)
    if error.status in {502, 503, 504}:
        return _deferred(detail)
    return TransientFailure(reason=Reason.PROVIDER_DEFERRED, detail=detail)


def _is_our_own(error: Exception) -> bool:
    cause = getattr(error, "os_error", error)
    exhausted = isinstance(cause, OSError) and cause.errno in _OUR_OWN
    return exhausted or isinstance(error, aiohttp.ClientProxyConnectionError)


def _deferred(detail: str, wait_s: float | None = None) -> TransientFailure:
    return TransientFailure(reason=Reason.RECIPIENT_DEFERRED, detail=detail, retry_after_s=wait_s)
