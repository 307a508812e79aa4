"""Which provider a message goes to, and whether another one may have it at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate

from clarion_core.domain.breaker import BreakerState, Standing
from clarion_core.domain.channel import Provider, Routing
from clarion_core.domain.error_class import ERROR_CLASSES, ErrorClass
from clarion_core.domain.outcome import Outcome, PermanentFailure, TransientFailure


def pick(
    routing: Routing, providers: Sequence[Provider], standings: Mapping[str, Standing], drawn: float
) -> Provider | None:
    """The provider to use now; None where all breakers are open.

    `drawn` is an even random number in [0, 1). By WEIGHT, a provider gets its weight's share of the messages, less
    where its health is not full; by ORDER, the first one gets all.
    """
    working = [provider for provider in providers if standings[provider.name].state is BreakerState.CLOSED]
    if not working or routing is Routing.ORDER:
        return working[0] if working else None
    bounds = list(accumulate(provider.weight * standings[provider.name].health for provider in working))
    return next(
        (provider for provider, bound in zip(working, bounds, strict=True) if drawn * bounds[-1] < bound), working[-1]
    )


def fails_over(outcome: Outcome) -> bool:
    """Whether another provider may have the message at once.

    Where the provider certainly has not got it, and it is the provider's fault. Never after an ambiguous hand-over,
    whatever the campaign's policy: under AT_LEAST_ONCE its retry is a new attempt, which may go to any provider.
    """
    match outcome:
        case TransientFailure(reason=reason) | PermanentFailure(reason=reason):
            return ERROR_CLASSES[reason] is ErrorClass.PROVIDER
        case _:
            return False


def postponed(outcome: Outcome, wait_s: float) -> Outcome:
    """The outcome where another provider was to have the message and can't be asked for `wait_s` seconds.

    What one provider can't do is not the end while another one, not asked yet, may be able to.
    """
    if isinstance(outcome, PermanentFailure) and fails_over(outcome):
        return TransientFailure(reason=outcome.reason, detail=outcome.detail, retry_after_s=wait_s)
    return outcome
