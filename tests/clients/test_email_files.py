"""`campaign.yaml`: what an e-mail has besides its texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from clarion_client.cli import campaign_files
from clarion_client.cli.problems import FilesInvalid

YAML = """\
id: welcome
contents:
  - email:
      from: Shop <hello@example.com>
      subject: Welcome
      html_file: body.html
      amp_file: body.amp.html
      cc:
        - "{{ profile.boss }}"
        - Boss <boss@example.com>
      bcc: [archive@example.com]
      attachments:
        - {name: terms.pdf, content_type: application/pdf, data_file: terms.pdf}
        - {name: logo.png, content_type: image/png, data_file: logo.png, content_id: logo}
      headers:
        X-Order: "{{ order_id }}"
      list_unsubscribe: [https://shop.example/u]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    files = {"body.html": b"<p>", "body.amp.html": b"<html amp4email>", "terms.pdf": b"%PDF\xff\0", "logo.png": b"\x89"}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    path = tmp_path / "campaign.yaml"
    path.write_text(YAML)
    return path


def problems(path: Path, text: str) -> list[str]:
    path.write_text(text)
    with pytest.raises(FilesInvalid) as refused:
        campaign_files.read(path)
    return [f"{problem.line}:{problem.column}: {problem.message}" for problem in refused.value.problems]


def test_copies_files_and_header_fields_are_read(file: Path) -> None:
    read = campaign_files.read(file)
    email = read.campaign.contents[0].email
    assert email.amp == "<html amp4email>"
    assert list(email.cc) == ["{{ profile.boss }}", "Boss <boss@example.com>"]
    assert list(email.bcc) == ["archive@example.com"]
    assert [(each.name, each.data, each.content_id) for each in email.attachments] == [
        ("terms.pdf", b"%PDF\xff\0", ""),
        ("logo.png", b"\x89", "logo"),
    ]
    assert email.headers == {"X-Order": "{{ order_id }}"}
    assert list(email.list_unsubscribe) == ["https://shop.example/u"]


def test_each_of_it_has_its_place(file: Path) -> None:
    sources = campaign_files.read(file).sources
    for path in ("cc[1]", "attachments[0].data", "headers.X-Order", "list_unsubscribe[0]"):
        assert sources[f"contents[0].email.{path}"].path == file


def test_a_file_is_named_and_not_written_down(file: Path) -> None:
    assert problems(file, YAML.replace("data_file: terms.pdf", "data: JVBERi0=")) == [
        "13:66: a file can't stand here; say where it is: 'data_file'"
    ]


def test_a_file_that_is_not_there_is_said_to_be_missing(file: Path) -> None:
    [problem] = problems(file, YAML.replace("data_file: terms.pdf", "data_file: other.pdf"))
    assert problem.startswith("13:")
    assert problem.endswith("other.pdf: No such file or directory")


def test_a_list_of_texts_holds_texts(file: Path) -> None:
    assert problems(file, YAML.replace("[archive@example.com]", "[{a: b}]"))[0].startswith("11:13: this must be text")
    assert problems(file, YAML.replace("[archive@example.com]", "archive@example.com")) == [
        "11:12: 'bcc' must be a list: lines that begin with `- `"
    ]
