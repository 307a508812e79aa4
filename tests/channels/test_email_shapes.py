"""Messages of every shape, read by two parsers that nobody here wrote: Python's `email` and npm's `mailparser`."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage as Parsed
from email.policy import default
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import PermanentFailure
from clarion_workers.channels.email import attachments as module
from clarion_workers.channels.email.attachments import Attachment
from clarion_workers.channels.email.letterhead import Letterhead, Unsubscribing
from clarion_workers.channels.email.message import BuiltEmail, EmailMessage
from clarion_workers.channels.email.mime import MimeBuilder
from support.dkim import signing, verified
from support.emails import DATE_S, email
from support.mailparser import MailParser, running

PIECES = [
    "a", "order ", "é", "Ж", "注文", "🎁", " ", "\n", "\n.\n", "\r\n", "=", "=20", "--=_clarion", "\n--=_mixed--\n",
    "<p>", "x" * 80, "y" * 1000, "é" * 60, "=?utf-8?q?a?=", "From ", ",", "\t",
]  # fmt: skip
TEXT = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
SHOWN = st.lists(
    st.sampled_from(["Rechnung", "é", "注文", " ", "🎁", "'", "%41", ";", "\\", '"', "x" * 30]), max_size=6
)
NAME = SHOWN.map("".join).map(lambda name: f"{name}.pdf".strip())
TYPES = st.sampled_from(
    ["application/pdf", "image/png", "text/calendar; method=REQUEST; charset=utf-8", "application/octet-stream"]
)
FILE = st.builds(Attachment, name=NAME, content_type=TYPES, data=st.binary(max_size=300))
INLINE = st.builds(
    Attachment,
    name=st.just("logo.png"),
    content_type=st.just("image/png"),
    data=st.binary(max_size=300),
    content_id=st.sampled_from(["logo", "a.b@example.com"]),
)
MAILBOX = st.sampled_from(["b@example.com", "Boss <boss@example.com>", '"Boß, Inc." <boss@example.com>'])
MESSAGE = st.fixed_dictionaries(
    {
        "text": TEXT,
        "html": TEXT,
        "amp": TEXT,
        "subject": TEXT,
        "attachments": st.lists(FILE | INLINE, max_size=3).map(tuple),
        "cc": st.lists(MAILBOX, max_size=3, unique=True).map(tuple),
        "headers": st.sampled_from([(), (("X-Order", "Größe 7"), ("X-Long", "word " * 40))]),
        "category": st.sampled_from(["", "transactional", "marketing"]),
    }
)
SHARED = Letterhead(
    signers=signing().signers,
    unsubscribing=Unsubscribing(url="https://go.example.com/{delivery}"),
    feedback_sender="lumen",
)


@pytest.fixture(scope="module")
def mailparser() -> Iterator[MailParser]:
    with running() as parser:
        yield parser


def message_of(values: dict[str, Any]) -> EmailMessage:
    return email(7, **(values | {"amp": values["amp"].encode()}))


def built(values: dict[str, Any]) -> bytes:
    made = MimeBuilder("mail.example.com", SHARED).build(message_of(values))
    assert isinstance(made, BuiltEmail)
    return made.content


def plain(text: str) -> str:
    """What a text is once its line ends are of one kind, and white space at its end is nobody's."""
    return text.replace("\r\n", "\n").rstrip("\n ")


def shape(part: Parsed) -> Any:
    """The types of the parts, nested as they are."""
    if part.is_multipart():
        return (part.get_content_subtype(), [shape(each) for each in part.iter_parts()])  # type: ignore[arg-type]
    return part.get_content_type()


def expected_shape(values: dict[str, Any]) -> Any:
    kinds = (("text/plain", "text"), ("text/x-amp-html", "amp"), ("text/html", "html"))
    texts: list[Any] = [kind for kind, name in kinds if values[name]] or ["text/plain"]
    whole: Any = texts[0] if len(texts) == 1 else ("alternative", texts)
    types = [(file.content_type.partition(";")[0], bool(file.content_id)) for file in values["attachments"]]
    if inline := [kind for kind, is_inline in types if is_inline]:
        whole = ("related", [whole, *inline])
    if attached := [kind for kind, is_inline in types if not is_inline]:
        whole = ("mixed", [whole, *attached])
    return whole


def leaves(message: Parsed) -> dict[str, list[Parsed]]:
    found: dict[str, list[Parsed]] = {}
    for part in message.walk():
        if not part.is_multipart():
            found.setdefault("file" if part.get_content_disposition() else part.get_content_type(), []).append(part)  # type: ignore[arg-type]
    return found


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MESSAGE)
@example({"text": "", "html": "", "amp": "", "subject": "", "attachments": (), "cc": (), "headers": (), "category": ""})
def test_two_parsers_find_what_was_put_in(mailparser: MailParser, values: dict[str, Any]) -> None:
    content = built(values)
    message, other = message_from_bytes(content, policy=default), mailparser.parse(content)
    assert shape(message) == expected_shape(values)
    assert not message.defects
    parts = leaves(message)
    for kind, name in (("text/plain", "text"), ("text/x-amp-html", "amp"), ("text/html", "html")):
        assert [plain(part.get_content()) for part in parts.get(kind, [])][:1] in ([plain(values[name])], [])
    assert plain(other["text"]) == plain(values["text"])
    assert plain(other["html"]) == plain(values["html"])
    sent = sorted((file.name, bytes(file.data)) for file in values["attachments"])
    cleaned = [(re.sub(r"[\\/]", "_", name), data) for name, data in sent]
    assert sorted(
        (str(part.get_filename()), part.get_payload(decode=True)) for part in parts.get("file", [])
    ) == sorted(cleaned)
    files = [file for file in other["files"] if file["type"] != "text/x-amp-html"]
    assert sorted((file["name"], b64decode(file["data"])) for file in files) == sorted(cleaned)
    assert {file["id"] for file in files if file["inline"]} == {
        f.content_id for f in values["attachments"] if f.content_id
    }
    assert (other["message_id"], other["date_s"]) == ("<00j4k-7@mail.example.com>", DATE_S)
    assert [address for _, address in other["cc"]] == [each.rpartition("<")[2].rstrip(">") for each in values["cc"]]


@settings(max_examples=150, deadline=None)
@given(MESSAGE)
def test_every_line_keeps_to_the_rules_and_the_signatures_are_good(values: dict[str, Any]) -> None:
    content = built(values)
    assert content.isascii()
    assert content.count(b"\n") == content.count(b"\r") == content.count(b"\r\n")
    head = content.partition(b"\r\n\r\n")[0]
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert max(map(len, head.split(b"\r\n"))) <= 78
    assert verified(content) == [True, True]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("invoice.pdf", "invoice.pdf"),
        ('a "quoted" name\\.pdf', 'a "quoted" name_.pdf'),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("Rechnung für Ærøskøbing – November, mit allen Belegen.pdf",) * 2,
        ("x" * 200, "x" * 200),
        ("a\r\nContent-Type: text/html", "a Content-Type: text_html"),
        ("注文.pdf", "注文.pdf"),
    ],
)
def test_a_files_name_reads_as_it_was_given(mailparser: MailParser, name: str, shown: str) -> None:
    file = Attachment(name=name, content_type="application/pdf", data=b"%PDF")
    made = MimeBuilder("mail.example.com").build(email(attachments=(file,)))
    assert isinstance(made, BuiltEmail)
    [attached] = message_from_bytes(made.content, policy=default).iter_attachments()
    assert attached.get_filename() == shown
    assert mailparser.parse(made.content)["files"][0]["name"] == shown
    assert max(map(len, made.content.split(b"\r\n"))) <= 80


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"content_type": "multipart/mixed"}, "content type"),
        ({"content_type": "message/rfc822"}, "content type"),
        ({"content_type": "text/plain\r\nBcc: x@y.com"}, "content type"),
        ({"content_type": "pdf"}, "content type"),
        ({"content_id": "<logo>"}, "content id"),
        ({"content_id": "a b"}, "content id"),
        ({"name": " \r\n"}, "name"),
    ],
)
def test_a_file_that_can_not_be_part_of_a_message_is_refused(changes: dict[str, str], why: str) -> None:
    file = Attachment(**({"name": "a.pdf", "content_type": "application/pdf", "data": b"%PDF"} | changes))  # type: ignore[arg-type]
    refused = MimeBuilder("mail.example.com").build(email(attachments=(file,)))
    assert isinstance(refused, PermanentFailure)
    assert refused.reason is Reason.MESSAGE_REFUSED
    assert why in refused.detail


@pytest.mark.parametrize(
    "name", ["Bcc", "Subject", "X", "X-", "X-Clarion-Copy", "x-clarion-copy", "X-a:b", "X-a\r\nBcc", ""]
)
def test_a_header_field_that_is_not_the_callers_is_refused(name: str) -> None:
    refused = MimeBuilder("mail.example.com").build(email(headers=((name, "x"),)))
    assert isinstance(refused, PermanentFailure)
    assert refused.reason is Reason.MESSAGE_REFUSED


@pytest.mark.parametrize(
    "uri", ["http://a.example/x", "https://a.example/>,<x", "https://a.example/\r\nBcc:x", "x", "mailto:"]
)
def test_a_way_to_unsubscribe_that_is_none_is_refused(uri: str) -> None:
    assert isinstance(MimeBuilder("mail.example.com").build(email(list_unsubscribe=(uri,))), PermanentFailure)


def test_a_contents_own_way_to_unsubscribe_goes_before_the_channels() -> None:
    made = MimeBuilder("mail.example.com", SHARED).build(email(list_unsubscribe=("mailto:stop@example.com",)))
    assert isinstance(made, BuiltEmail)
    message = message_from_bytes(made.content, policy=default)
    assert message["List-Unsubscribe"] == "<mailto:stop@example.com>"
    assert "List-Unsubscribe-Post" not in message  # one click is for https alone (RFC 8058 §3.1)


def test_only_what_is_sent_because_of_somebody_says_that_a_program_sent_it() -> None:
    builder = MimeBuilder("mail.example.com", SHARED)
    for category, said in (("urgent", True), ("transactional", True), ("marketing", False), ("", False)):
        made = builder.build(email(category=category, campaign="welcome", workspace="default"))
        assert isinstance(made, BuiltEmail)
        assert (b"\r\nAuto-Submitted: auto-generated\r\n" in made.content) == said
        assert f"\r\nFeedback-ID: welcome:{category}:default:lumen\r\n".encode() in made.content


def test_files_are_encoded_once_and_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT", 10_000)
    builder = MimeBuilder("mail.example.com")
    for number in range(20):
        file = Attachment(name="a.bin", content_type="application/octet-stream", data=bytes([number]) * 3_000)
        first, again = builder.build(email(attachments=(file,))), builder.build(email(attachments=(file,)))
        assert isinstance(first, BuiltEmail)
        assert isinstance(again, BuiltEmail)
        assert first.content == again.content
    assert sum(len(part.pieces[-1]) for part in module._encoded.values()) <= 10_000
