"""A mailbox as a directory: one file a message of whichever channel, and a page to read them in a browser."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from pathlib import Path

import msgspec

from clarion_core.domain.medium import Channel
from clarion_stack.page import Item, Shelf, read_mail, render_page
from clarion_stack.records import READ, Record

PAGE_HOLDS = 1_000
"""The newest messages of each channel that the page shows; older ones stay as files."""

SUFFIXES = {
    Channel.EMAIL: ".eml",
    Channel.SMS: ".sms.json",
    Channel.PUSH: ".push.json",
    Channel.WEBHOOK: ".webhook.json",
}


class Mailbox:
    """The messages in a directory. Several processes may deliver into one: what the page shows is what is there.

    A mail is an `.eml` file, any other message a JSON document. `mark`, letters, is in the name of every file that is
    delivered through this object: so `clear` finds them again.
    """

    def __init__(self, directory: Path, mark: str = "", page_holds: int = PAGE_HOLDS) -> None:
        self.directory = directory.absolute()
        self.page = self.directory / "index.html"
        self._mark = f"{mark}-" if mark else ""
        self._page_holds = page_holds
        self._known: dict[str, Item] = {}
        self._refreshing = threading.Lock()
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def deliver(self, sender: str, recipients: Sequence[str], content: bytes, received: datetime | None = None) -> Path:
        """Store a mail; it is a complete file when this returns, though not yet forced to the disk: a catcher may
        lose mail in a power cut.

        The envelope is put before the message as a final delivery does (RFC 5321 §4.4 and the customary
        Delivered-To). Files sort by time, and the name ends with the left part of the Message-ID where there is one.
        """
        envelope = [f"Return-Path: <{sender}>", *(f"Delivered-To: {recipient}" for recipient in recipients)]
        head = "".join(f"{line}\r\n" for line in envelope).encode(errors="surrogateescape")
        return self._store(Channel.EMAIL, _left_part(content), head + content, received)

    def keep(self, channel: Channel, message_id: str, record: Record) -> Path:
        """Store a message of another channel, as `deliver` does, under the id by which it is known again."""
        return self._store(channel, message_id, msgspec.json.format(msgspec.json.encode(record)), None)

    def files(self, channel: Channel = Channel.EMAIL) -> list[Path]:
        """The messages of a channel, the oldest first."""
        with os.scandir(self.directory) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.name.endswith(SUFFIXES[channel]))

    def clear(self) -> int:
        """Remove the messages that bear our mark, whoever delivered them; how many there were. None without a mark."""
        all_of_them = [(path, channel) for channel in SUFFIXES for path in self.files(channel)]
        marked = [path for path, of in all_of_them if self._mark and _parts(path, of)[2].startswith(self._mark)]
        for path in marked:
            path.unlink()
        return len(marked)

    def message_ids(self, channel: Channel = Channel.EMAIL) -> Counter[str]:
        """How often each message is there, by its id; of mail, by the left part of its Message-ID."""
        return Counter(_parts(path, channel)[1] for path in self.files(channel))

    def refresh_page(self) -> None:
        """Bring the page up to date with the directory. It is replaced in one step, and only if something changed."""
        with self._refreshing:
            files = {channel: self.files(channel) for channel in SUFFIXES}
            newest = {channel: paths[-self._page_holds :] for channel, paths in files.items()}
            if [path.name for paths in newest.values() for path in paths] == list(self._known) and self.page.exists():
                return
            read = {channel: dict(self._readable(channel, paths)) for channel, paths in newest.items()}
            self._known = {name: item for items in read.values() for name, item in items.items()}
            shelves = {
                channel: Shelf(list(items.values())[::-1], len(files[channel])) for channel, items in read.items()
            }
            unfinished = self.directory / f"index.{os.getpid()}.unfinished"
            unfinished.write_text(render_page(shelves), encoding="utf-8")
            unfinished.rename(self.page)

    def _store(self, channel: Channel, message_id: str, content: bytes, received: datetime | None) -> Path:
        name = _file_name(message_id, received or datetime.now(UTC), self._mark)
        unfinished = self.directory / f"{name}.unfinished"
        unfinished.write_bytes(content)
        return unfinished.rename(self.directory / f"{name}{SUFFIXES[channel]}")

    def _readable(self, channel: Channel, paths: Iterable[Path]) -> Iterator[tuple[str, Item]]:
        read = READ.get(channel, read_mail)
        for path in paths:
            # Somebody may clear the directory while it is read.
            with contextlib.suppress(FileNotFoundError):
                yield path.name, self._known.get(path.name) or read(path)


def _left_part(content: bytes) -> str:
    header = BytesHeaderParser().parsebytes(content)["Message-ID"] or ""
    return str(header).partition("@")[0]


def _file_name(message_id: str, received: datetime, mark: str) -> str:
    left = re.sub(r"[^A-Za-z0-9.-]", "", message_id)[:80]
    # Two messages of one microsecond, and two processes, stay apart.
    return f"{received:%Y%m%dT%H%M%S.%fZ}_{left}_{mark}{secrets.token_hex(3)}"


def _parts(path: Path, channel: Channel) -> tuple[str, str, str]:
    """A file's time, its message's id, and the rest with the mark in it."""
    time, _, rest = path.name.removesuffix(SUFFIXES[channel]).partition("_")
    left, _, end = rest.rpartition("_")
    return time, left, end
