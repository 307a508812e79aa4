"""Campaign files with every channel: what they become, and where mistakes in them are shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from clarion.v1.campaign_pb2 import PushContent
from clarion_client.cli import campaign_files
from clarion_client.cli.problems import FilesInvalid
from clarion_client.values import to_recipient

HEAD = "id: news\ncontents:\n"
FILES = {
    "sms.j2": "Hi {{ name }}\n",
    "title.j2": "Title {{ name }}\n",
    "body.json": """\
{
  "a": {
    "total": "{{ total }}",
    "smile": "\\ud83d\\ude00 \\/"
  },
  "n": [1, null, 2.5]
}
""",
}


def read(folder: Path, contents: str) -> campaign_files.CampaignFile:
    for name, text in FILES.items():
        (folder / name).write_text(text, "utf-8")
    (folder / "campaign.yaml").write_text(HEAD + contents, "utf-8")
    return campaign_files.read(folder / "campaign.yaml")


def problems(folder: Path, contents: str) -> list[tuple[int, int, str]]:
    with pytest.raises(FilesInvalid) as error:
        read(folder, contents)
    return [(each.line, each.column, each.message) for each in error.value.problems]


def test_every_channel_can_stand_in_a_file(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """\
  - sms: {sender: Shop, text_file: sms.j2, transliterate: true}
    channel_configuration: orders-sms
  - push:
      title_file: title.j2
      buttons:
        - {id: a, title: "A"}
      data: {order: "{{ name }}", n: 1}
      badge: 3
      silent: false
      priority: normal
      ttl_s: 0
      overrides: {apns: {aps: {x: [1, two]}}}
  - webhook:
      url: https://partner.example/hooks
      body:
        total: "{{ total }}"
        "two words": ["{{ a }}", 1, null, true]
""",
    ).campaign
    sms, push, webhook = found.contents
    assert (sms.sms.text, sms.sms.transliterate, sms.channel_configuration) == ("Hi {{ name }}\n", True, "orders-sms")
    assert MessageToDict(push.push, preserving_proto_field_name=True) == {
        "title": "Title {{ name }}",
        "buttons": [{"id": "a", "title": "A"}],
        "data": {"order": "{{ name }}", "n": "1"},
        "badge": "3",
        "priority": "PRIORITY_NORMAL",
        "ttl_s": 0,
        "overrides": {"apns": {"aps": {"x": [1, "two"]}}},
    }
    assert push.push.priority == PushContent.PRIORITY_NORMAL
    assert MessageToDict(webhook.webhook) == {
        "url": "https://partner.example/hooks",
        "body": {"total": "{{ total }}", "two words": ["{{ a }}", 1, None, True]},
    }


def test_a_document_in_a_file_is_yaml_or_json(tmp_path: Path) -> None:
    found = read(tmp_path, "  - webhook: {body_file: body.json}\n")
    body = found.campaign.contents[0].webhook.body
    assert MessageToDict(body) == {"a": {"total": "{{ total }}", "smile": "😀 /"}, "n": [1, None, 2.5]}


@pytest.mark.parametrize(
    ("path", "file", "at"),
    [
        ("contents[0].webhook.body.a.total", "body.json", (3, 15)),
        ("contents[1].webhook.body.order.total", "campaign.yaml", (7, 19)),
        ('contents[1].webhook.body["two words"][1]', "campaign.yaml", (9, 15)),
        ("contents[2].push.data.order", "campaign.yaml", (11, 22)),
        ("contents[2].push.buttons[0].title", "campaign.yaml", (12, 33)),
    ],
)
def test_each_text_is_found_where_it_stands(tmp_path: Path, path: str, file: str, at: tuple[int, int]) -> None:
    found = read(
        tmp_path,
        """\
  - webhook: {body_file: body.json}
  - webhook:
      body:
        order:
          total: "{{ total }}"
        "two words": [
          a, "{{ b }}"]
  - push:
      data: {order: "{{ name }}"}
      buttons: [{id: a, title: "{{ x }}"}]
""",
    )
    source = found.sources[path]
    assert (source.path.name, source.at(0, 0)) == (file, at)


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ("  - sms: {text: a}\n    email: {subject: b}\n", (4, 12, "'sms' stands here already: 'email' is an item")),
        ("  - webhook:\n      body: {a: {{ total }}}\n", (4, 18, "write a template that begins with {{ in quotes")),
        ("  - sms: {text: {{ a }}}\n", (3, 17, "this must be text; write a template that begins with {{ in quotes")),
        ("  - webhook:\n      body: {a: 1, a: 2}\n", (4, 20, "'a' stands here twice")),
        ("  - webhook:\n      body: {a: .inf}\n", (4, 13, "this is not a JSON value")),
        ("  - push: {data: [1]}\n", (3, 18, "'data' must be a mapping")),
        ("  - push: {data: {a: x, a: y}}\n", (3, 25, "'a' stands here twice")),
        ("  - push: {priority: low}\n", (3, 22, "'priority' must be one of high, normal")),
        ("  - push: {overrides: {ios: {}}}\n", (3, 24, "unknown key 'ios'; known are fcm, apns, web")),
        ("  - sms: {text: a, text_file: sms.j2}\n", (3, 31, "give either 'text' or 'text_file'")),
        ("  - webhook: {body_file: nobody.json}\n", (3, 26, "No such file")),
    ],
)
def test_a_mistake_is_shown_where_it_stands(tmp_path: Path, contents: str, expected: tuple[int, int, str]) -> None:
    line, column, says = expected
    found = problems(tmp_path, contents)
    assert any(each[:2] == (line, column) and says in each[2] for each in found), found


def test_a_document_that_is_no_yaml_is_shown_in_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"a": [1,\n}', "utf-8")
    with pytest.raises(FilesInvalid) as error:
        read(tmp_path, "  - webhook: {body_file: broken.json}\n")
    [problem] = error.value.problems
    assert (problem.path.name, problem.line) == ("broken.json", 2)


def test_the_words_of_a_device_may_be_short() -> None:
    token: dict[str, Any] = {"endpoint": "https://push.example/x", "keys": {"auth": "a"}}
    devices = [{"platform": "web", "token": token}, {"platform": "PLATFORM_FCM", "token": "t"}]
    found = to_recipient({"user_id": "7", "devices": devices})
    assert [each.platform for each in found.devices] == [3, 1]
    assert found.devices[0].token == '{"endpoint": "https://push.example/x", "keys": {"auth": "a"}}'
    with pytest.raises(ValueError, match="platform"):
        to_recipient({"user_id": "7", "devices": [{"platform": "pager"}]})
