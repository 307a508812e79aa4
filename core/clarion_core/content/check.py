"""What is wrong with what a campaign says, by place: what can be seen from outside, and the templates to look into.

A template is looked into in a process of its own (`Renderer.check`), since a hostile one can take any time.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from clarion_core.content import check_channels
from clarion_core.content.document import leaves
from clarion_core.content.parts import Part, finished, parts
from clarion_core.content.types import Form, TemplateCheck, TemplateProblem
from clarion_core.domain.campaign import Definition
from clarion_core.domain.content import Content
from clarion_core.domain.context import RESERVED


def outside_problems(definition: Definition, path: str) -> list[TemplateProblem]:
    """What is wrong with the contents apart from their templates.

    `path` is where the contents stand in the request, like `campaign.contents`; problems are reported under it, in
    the contract's words: `campaign.contents[0].email.subject`.
    """
    found = []
    for index, content in enumerate(definition.contents.values()):
        place = f"{path}[{index}]"
        first: dict[str, str] = {}
        for name, wrong in chain(check_channels.problems(content), _fixed_problems(content)):
            first.setdefault(name, wrong)
        found += [_outside(f"{place}.{name}", wrong) for name, wrong in first.items()]
    return found


def templates(definition: Definition, path: str) -> list[TemplateCheck]:
    """The templates of the contents, each with what is needed to look into it."""
    known = sorted({field.name for field in definition.context} | RESERVED)
    return [
        TemplateCheck(name=name, source=source, path=f"{path}[{index}].{name}", known=known, form=part.form)
        for index, content in enumerate(definition.contents.values())
        for part in parts(content)
        for name, source in _sources(part)
    ]


def _sources(part: Part) -> Iterator[tuple[str, str]]:
    if part.form is Form.JSON:
        yield from ((leaf.name, leaf.source) for leaf in leaves(part.source, part.name) if "{" in leaf.source)
    else:
        yield part.name, str(part.source)


def _fixed_problems(content: Content) -> Iterator[tuple[str, str]]:
    """What is wrong with texts that are the same for everybody."""
    for part in parts(content):
        if part.form is not Form.JSON and "{" not in (source := str(part.source)):
            try:
                finished(part, source)
            except ValueError as error:
                yield part.name, str(error)


def _outside(path: str, message: str) -> TemplateProblem:
    return TemplateProblem(path=path, line=0, column=0, message=message)
