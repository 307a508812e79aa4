"""The files of a campaign's e-mail, apart from what they are described by: only who sends them needs their data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from clarion_core.domain.campaign import Definition
from clarion_core.domain.content import Attachment
from clarion_core.domain.errors import FieldProblem
from clarion_core.domain.medium import Channel

MOST_FILES, MOST_MIB = 20, 10
"""What limits can be set to at most."""

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLimits:
    """How many files an e-mail may have, and of how many bytes together."""

    files: int = 5
    bytes: int = 5 * MIB

    def problems(self, definition: Definition, path: str) -> list[FieldProblem]:
        """What of a definition's files is too much. `path` is where its contents stand, like `campaign.contents`."""
        files = _files(definition)
        size = sum(file.size for file in files)
        if len(files) <= self.files and size <= self.bytes:
            return []
        found = f"are {len(files)} of {size:,} bytes together"
        return [_problem(definition, path, "", f"{found}; {self.files} of {self.bytes:,} together are allowed")]


def described(definition: Definition) -> Definition:
    """The definition with the descriptions of its files alone: enough for all but who sends them."""
    return _with(definition, [replace(file, data=b"") for file in _files(definition)])


def data_of(definition: Definition) -> dict[str, bytes]:
    """The data of its files, by their hashes."""
    return {file.sha256: file.data for file in _files(definition) if file.data}


def filled(definition: Definition, data: Mapping[str, bytes]) -> Definition:
    """The definition with the data of its files, by their hashes. One that is not among them stays as it is."""
    return _with(definition, [_filled(file, data) for file in _files(definition)])


def lack(definition: Definition) -> bool:
    """Whether there are files without their data."""
    return not all(file.data for file in _files(definition))


def missing(definition: Definition, path: str) -> Iterator[FieldProblem]:
    """The files whose data nobody has given. `path` as in `FileLimits.problems`."""
    for index, file in enumerate(_files(definition)):
        if not file.data:
            words = "is required: the campaign has no file with this sha256" if file.sha256 else "is required"
            yield _problem(definition, path, f"[{index}].data", words)


def _problem(definition: Definition, path: str, place: str, words: str) -> FieldProblem:
    content = list(definition.contents).index(Channel.EMAIL)
    return FieldProblem(path=f"{path}[{content}].email.attachments{place}", description=words)


def _files(definition: Definition) -> tuple[Attachment, ...]:
    return definition.email.attachments if definition.email else ()


def _with(definition: Definition, files: list[Attachment]) -> Definition:
    if not definition.email or not files:
        return definition
    return replace(definition, email=replace(definition.email, attachments=tuple(files)))


def _filled(file: Attachment, data: Mapping[str, bytes]) -> Attachment:
    known = data.get(file.sha256)
    return replace(file, data=known, size=len(known)) if known else file
