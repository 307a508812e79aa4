"""Exit codes: what a script can rely on."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from clarion_client import errors


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    NOT_FOUND = 3
    INVALID = 4
    CONFLICT = 5
    UNAVAILABLE = 6
    INTERNAL = 70
    INTERRUPTED = 130


MEANING: Mapping[Exit, str] = {
    Exit.OK: "done, and every recipient concerned is well",
    Exit.REFUSED: "done, but a recipient or a line was refused, a delivery was not sent, or a provider is not well",
    Exit.USAGE: "the command line is wrong",
    Exit.NOT_FOUND: "no such campaign, trigger, delivery, channel configuration, worker, lane or throttle",
    Exit.INVALID: "the input can't be right: a file, a template, a context, all recipients",
    Exit.CONFLICT: "the state forbids it, the id is taken, or somebody else changed it",
    Exit.UNAVAILABLE: "no answer in time, or no room now: try again later",
    Exit.INTERNAL: "a defect of Clarion",
    Exit.INTERRUPTED: "interrupted with Ctrl-C",
}

_OF_ERROR: Mapping[type[errors.ClarionError], Exit] = {
    errors.InvalidArgument: Exit.INVALID,
    errors.NotFound: Exit.NOT_FOUND,
    errors.AlreadyExists: Exit.CONFLICT,
    errors.FailedPrecondition: Exit.CONFLICT,
    errors.Aborted: Exit.CONFLICT,
    errors.OutOfRange: Exit.INVALID,
    errors.ResourceExhausted: Exit.UNAVAILABLE,
    errors.Unavailable: Exit.UNAVAILABLE,
    errors.DeadlineExceeded: Exit.UNAVAILABLE,
}


def exit_for(error: errors.ClarionError) -> Exit:
    """The code for an error; one that this version does not know counts as internal."""
    return _OF_ERROR.get(type(error), Exit.INTERNAL)
