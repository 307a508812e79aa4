"""What goes wrong in the local stack and a person can mend."""

from __future__ import annotations

from pathlib import Path


class StackError(Exception):
    """The stack can't run; the message is one line that says what to do."""


class InUse(StackError):
    """A directory is another process's."""

    def __init__(self, directory: Path, process: int) -> None:
        super().__init__(f"{directory} is in use by process {process}")
        self.process = process
