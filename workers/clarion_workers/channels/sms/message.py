"""What the SMS channel takes."""

from __future__ import annotations

from clarion_workers.channels import Message


class SmsMessage(Message, frozen=True, kw_only=True, gc=False):
    """One rendered text message, from a number or a name to a number in E.164 (`+4915112345678`).

    `segments` is how many parts networks carry it in; each takes a permit.
    """

    sender: str
    to_number: str
    text: str
    segments: int = 1

    @property
    def weight(self) -> int:
        """A permit for each segment."""
        return self.segments
