"""What is wrong with a notification's content, apart from its templates: pairs of a field and what would be right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from clarion_core.domain.content import PushButton, PushContent
from clarion_core.domain.medium import PLATFORMS, Medium
from clarion_core.push import limits
from clarion_core.urls import read_https


def problems(push: PushContent) -> Iterator[tuple[str, str]]:
    """What is wrong with the content. What is the same for everybody must fit every platform."""
    said = {"title": push.title, "body": push.body}
    if push.silent:
        yield from ((f"push.{name}", "is not shown where silent is set: leave it empty") for name in said if said[name])
    elif not any(text.strip() for text in said.values()):
        yield "push.title", "one of title and body is required, unless silent is set"
    if image := _fixed(push.image):
        try:
            read_https(image)
        except ValueError as error:
            yield "push.image", str(error)
    ids = [button.id for button in push.buttons]
    for index, each in enumerate(ids):
        if each in ids[:index]:
            yield f"push.buttons[{index}].id", f"is the id of buttons[{ids.index(each)}] too"
    for platform in PLATFORMS:
        for field, words in limits.problems(platform, _notification(push, platform)):
            kind, _, key = field.partition(".")
            place = f"overrides.{platform.value}.{key}" if kind == "overrides" else field
            yield f"push.{place}".removesuffix("."), words


@dataclass(frozen=True, slots=True, kw_only=True)
class _Notification:
    """What is the same for everybody of a notification: nothing stands in the place of a template."""

    delivery_id: str = ""
    title: str
    body: str
    link: str
    image: str
    buttons: tuple[PushButton, ...]
    data: Mapping[str, str]
    silent: bool
    badge: int | None = None
    sound: str
    thread_id: str
    collapse_id: str
    category: str
    channel_id: str
    priority: Literal["high", "normal"]
    overrides: Mapping[str, object]


def _notification(push: PushContent, platform: Medium) -> _Notification:
    buttons = (PushButton(id=each.id, title=_fixed(each.title), link=_fixed(each.link)) for each in push.buttons)
    return _Notification(
        title=_fixed(push.title),
        body=_fixed(push.body),
        link=_fixed(push.link),
        image=_fixed(push.image),
        buttons=tuple(buttons),
        data={name: _fixed(value) for name, value in push.data.items()},
        silent=push.silent,
        sound=push.sound,
        thread_id=_fixed(push.thread_id),
        collapse_id=_fixed(push.collapse_id),
        category=push.category,
        channel_id=push.channel_id,
        priority=push.priority.value,
        overrides=push.overrides.get(platform, {}),
    )


def _fixed(source: str) -> str:
    """A text that is the same for everybody; nothing for a template."""
    return "" if "{" in source else source
