"""A mailbox as a directory: one `.eml` file a message, and a page to read them in a browser."""

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

from clarion_stack.page import Mail, read_mail, render_page

PAGE_HOLDS = 1_000
"""The newest messages that the page shows; older ones stay as files."""


class Mailbox:
    """The messages in a directory. Several processes may deliver into one: what the page shows is what is there.

    `mark`, letters, is in the name of every file that is delivered through this object: so `clear` finds them again.
    """

    def __init__(self, directory: Path, mark: str = "", page_holds: int = PAGE_HOLDS) -> None:
        self.directory = directory.absolute()
        self.page = self.directory / "index.html"
        self._mark = f"{mark}-" if mark else ""
        self._page_holds = page_holds
        self._known: dict[str, Mail] = {}
        self._refreshing = threading.Lock()
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def deliver(self, sender: str, recipients: Sequence[str], content: bytes, received: datetime | None = None) -> Path:
        """Store a message; it is a complete file when this returns, though not yet forced to the disk: a catcher may
        lose mail in a power cut.

        The envelope is put before the message as a final delivery does (RFC 5321 §4.4 and the customary
        Delivered-To). Files sort by time, and the name ends with the left part of the Message-ID where there is one.
        """
        envelope = [f"Return-Path: <{sender}>", *(f"Delivered-To: {recipient}" for recipient in recipients)]
        path = self.directory / _file_name(content, received or datetime.now(UTC), self._mark)
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_bytes("".join(f"{line}\r\n" for line in envelope).encode(errors="surrogateescape") + content)
        unfinished.rename(path)
        return path

    def files(self) -> list[Path]:
        """The messages, the oldest first."""
        with os.scandir(self.directory) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.name.endswith(".eml"))

    def clear(self) -> int:
        """Remove the messages that bear our mark, whoever delivered them; how many there were. None without a mark."""
        marked = [path for path in self.files() if self._mark and path.stem.rpartition("_")[2].startswith(self._mark)]
        for path in marked:
            path.unlink()
        return len(marked)

    def message_ids(self) -> Counter[str]:
        """How often each message is there, by the left part of its Message-ID."""
        return Counter(path.stem.partition("_")[2].rpartition("_")[0] for path in self.files())

    def refresh_page(self) -> None:
        """Bring the page up to date with the directory. It is replaced in one step, and only if something changed."""
        with self._refreshing:
            files = self.files()
            newest = files[-self._page_holds :]
            if [path.name for path in newest] == list(self._known) and self.page.exists():
                return
            self._known = dict(self._readable(newest))
            page = render_page(list(self._known.values())[::-1], total=len(files))
            unfinished = self.directory / f"index.{os.getpid()}.unfinished"
            unfinished.write_text(page, encoding="utf-8")
            unfinished.rename(self.page)

    def _readable(self, paths: Iterable[Path]) -> Iterator[tuple[str, Mail]]:
        for path in paths:
            # Somebody may clear the directory while it is read.
            with contextlib.suppress(FileNotFoundError):
                yield path.name, self._known.get(path.name) or read_mail(path)


def _file_name(content: bytes, received: datetime, mark: str) -> str:
    header = BytesHeaderParser().parsebytes(content)["Message-ID"] or ""
    left = re.sub(r"[^A-Za-z0-9.-]", "", str(header).partition("@")[0])[:80]
    # Two messages of one microsecond, and two processes, stay apart.
    return f"{received:%Y%m%dT%H%M%S.%fZ}_{left}_{mark}{secrets.token_hex(3)}.eml"
