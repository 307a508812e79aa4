"""The body of a request that is one of many on a connection."""

from __future__ import annotations

from clarion_workers.channels.http import Body


class StreamBody(Body):
    """It is handed over once its last frame was given to the connection, and not if the server says it was not."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.content = content
        self.handed = False

    @property
    def sent(self) -> bool:
        """Whether the server may have acted on it, or may yet."""
        return self.handed

    def take_back(self) -> None:
        """Leave the connection alone: it carries others. The stream was reset when the request was given up."""
