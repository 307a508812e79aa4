"""What becomes of templates of text messages and notifications."""

from __future__ import annotations

from typing import Any

import pytest

from clarion_core.content.types import SMS, RenderedTexts, RenderFailure, Revision
from clarion_core.domain.campaign import Definition
from clarion_core.domain.content import PushButton, PushContent, SmsContent
from clarion_core.domain.medium import Channel
from support.templates import render, request


def outcome(channel: Channel, **definition: Any) -> Any:
    revision = Revision(key="k", campaign_id="c", definition=Definition(**definition))
    (result,) = render(revision, [request(profile={"name": 'A<b>"\u0007\r\nB', "n": 3})], channel)
    return result


def sms(text: str, **fields: Any) -> str:
    result = outcome(Channel.SMS, sms=SmsContent(text=text, **fields))
    assert isinstance(result, RenderedTexts), result
    return result.get(SMS)


def push(**fields: Any) -> dict[str, str]:
    result = outcome(Channel.PUSH, push=PushContent(**fields))
    assert isinstance(result, RenderedTexts), result
    return {name.removeprefix("push."): result.get(name) for name in result.texts}


def failure(channel: Channel, **definition: Any) -> str:
    result = outcome(channel, **definition)
    assert isinstance(result, RenderFailure), result
    return result.detail


def test_a_text_message_is_plain_text_with_line_breaks_and_no_other_controls() -> None:
    assert sms(" Hi {{ profile.name }}\t1\x85\x00\x1b[1m2\u2028\n") == 'Hi A<b>"\nB\t1\n[1m2'


def test_a_text_message_is_transliterated_where_that_is_wanted() -> None:
    assert sms("“Garçon” – oui", transliterate=True) == '"Garcon" - oui'
    assert sms("“Garçon” – oui") == "“Garçon” – oui"


def test_a_text_message_above_1600_characters_is_not_sent() -> None:
    assert len(sms("{{ 'é' * 1600 }} ")) == 1600
    detail = failure(Channel.SMS, sms=SmsContent(text="{{ 'é' * 1601 }}"))
    assert detail == "sms.text: is longer than 1,600 characters"


@pytest.mark.parametrize(
    ("channel", "content", "detail"),
    [
        (Channel.SMS, SmsContent(text="{% if not profile.n %}x{% endif %} \x00"), "sms.text: nothing is left to say"),
        (
            Channel.PUSH,
            PushContent(title="{{ '' }}", body="{{ ' ' }}"),
            "push.title, push.body: nothing is left to say",
        ),
        (Channel.PUSH, PushContent(title="x", badge="{{ profile.n - 4 }}"), "push.badge: is not a whole number"),
        (Channel.PUSH, PushContent(title="x", badge="{{ 10 ** 10 }}"), "push.badge: is not a whole number"),
        (
            Channel.PUSH,
            PushContent(title="x", collapse_id="{{ 'é' * 33 }}"),
            "push.collapse_id: is longer than 64 bytes",
        ),
        (Channel.PUSH, PushContent(title="x", data={"a": "{{ 1 // 0 }}"}), "push.data.a, line 1: ZeroDivisionError"),
        (
            Channel.PUSH,
            PushContent(title="x", buttons=(PushButton(id="a", title="{{ profile.x }}"),)),
            "push.buttons[0].title, line 1: UndefinedError: 'x' has no value",
        ),
    ],
)
def test_what_can_t_be_sent_is_a_failure_with_its_field(channel: Channel, content: Any, detail: str) -> None:
    assert failure(channel, **{channel.value: content}).startswith(detail)


def test_a_notification_s_texts_are_lines_but_for_body_and_data() -> None:
    said = push(
        title="{{ profile.name }}",
        body="{{ profile.name }}",
        link="app://{{ profile.n }}\n",
        image="https://img.example/{{ profile.n }}.png",
        buttons=(PushButton(id="a", title="Track {{ profile.n }}", link="app://track"),),
        data={"order": "{{ profile.name }}", "fixed": "1"},
        badge=" {{ profile.n }}\n",
        thread_id="t-{{ profile.n }}",
        collapse_id="{{ 'é' * 32 }}",
    )
    assert said == {
        "title": 'A<b>" B',
        "body": 'A<b>"\nB',
        "link": "app://3",
        "image": "https://img.example/3.png",
        "buttons[0].title": "Track 3",
        "buttons[0].link": "app://track",
        "data.order": 'A<b>"\nB',
        "data.fixed": "1",
        "badge": "3",
        "thread_id": "t-3",
        "collapse_id": "é" * 32,
    }


def test_a_silent_notification_has_no_texts() -> None:
    assert push(silent=True, data={"sync": "{{ profile.n }}"}) == {"data.sync": "3"}
