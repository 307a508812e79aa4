"""Python's garbage collector, set for a process that serves."""

from __future__ import annotations

import gc

_YOUNG = 20_000  # objects more than were freed; the default of 700 is a collection every few calls


def settle() -> None:
    """Call once what the process stands on is loaded: that is not looked at again, and the rest less often.

    Calls and messages make many objects that die without a collection, and few that need one.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 20)
