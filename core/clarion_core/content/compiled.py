"""What a campaign revision says on one channel, compiled: what the process that renders keeps of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from jinja2 import Template, UndefinedError

from clarion_core.content.document import STRIDE, Leaf, compile_document, leaves
from clarion_core.content.environment import compile_template, environment
from clarion_core.content.parts import Part, finished, parts
from clarion_core.content.types import Form, LimitReached, Plain, RenderedTexts, RenderFailure, RenderRequest, Revision
from clarion_core.domain.context import ContextSchema
from clarion_core.domain.medium import Channel

Step = Callable[[str], None]


class OutOfTime(BaseException):
    """Raised from outside into work that takes too long. Not an `Exception`: no template's code catches it."""


def _no_step(_name: str) -> None: ...


class CompiledContent:
    """A channel's templates of one revision, and the values that are the same for all its recipients.

    Compiling raises what a template does wrong, and `LookupError` where nothing is said on the channel. `step` is told
    each template's name before it is worked on.
    """

    def __init__(self, revision: Revision, channel: Channel, step: Step = _no_step) -> None:
        content = revision.definition.contents.get(channel)
        if content is None:
            raise LookupError(f"no {channel.value} content")
        self._parts = []
        for part in parts(content):
            step(part.name)
            self._parts.append(_CompiledPart(part))
        self._saying = [each.part.name for each in self._parts if each.part.says]
        self._schema = ContextSchema(revision.definition.context)
        campaign = {"id": revision.campaign_id, "display_name": revision.definition.display_name}
        self._fixed = {**environment().globals, "campaign": campaign}

    def render(
        self, request: RenderRequest[Plain], step: Step = _no_step
    ) -> RenderedTexts | RenderFailure | LimitReached:
        """The texts for one recipient, or why there are none: whatever the templates do is an answer."""
        values = self._values(request)
        texts = {}
        for compiled in self._parts:
            part, template = compiled.part, compiled.template
            step(part.name)
            # What Template.render does, without copying the values for each template: a test holds the two equal.
            context = template.new_context(values, shared=True)
            try:
                text = "".join(template.root_render_func(context))
            except (OutOfTime, MemoryError) as error:
                return LimitReached(place=compiled.place(error), memory=isinstance(error, MemoryError))
            except Exception as error:  # whatever a template does is its recipient's failure
                return RenderFailure(detail=compiled.explain(error))
            try:
                texts[part.name] = _encoded(finished(part, text))
            except ValueError as error:
                return RenderFailure(detail=f"{part.name}: {error}")
        if self._saying and not any(texts[name] for name in self._saying):
            return RenderFailure(detail=f"{', '.join(self._saying)}: nothing is left to say")
        return RenderedTexts(texts=texts)

    def _values(self, request: RenderRequest[Plain]) -> Plain:
        """The names that templates see."""
        return {
            **self._fixed,
            **self._schema.resolve(self._schema.base(request.shared), request.context),
            "recipient": {
                "user_id": request.user_id,
                "locale": request.locale,
                "email": request.email,
                "phone": request.phone,
            },
            "profile": request.profile,
        }


class _CompiledPart:
    """One part with its template; of a document, all its strings are in the one."""

    def __init__(self, part: Part) -> None:
        self.part = part
        if part.form is Form.JSON:
            self.template = compile_document(environment(), part.source, part.name)
            self._leaves = list(leaves(part.source, part.name))
        else:
            source = str(part.source)
            self.template = compile_template(source, part.name)
            self._leaves = [Leaf(part.name, source)]

    def place(self, error: BaseException) -> str:
        """The template and its line that raised, the innermost one in a macro."""
        return self._where(error)[1]

    def explain(self, error: Exception) -> str:
        """Place and error class. The message only where it is a name that stands in the template itself."""
        leaf, place = self._where(error)
        detail = f"{place}: {type(error).__name__}"
        looked_for = error.message if isinstance(error, UndefinedError) else None
        if leaf and looked_for and re.search(rf"\b{re.escape(looked_for)}\b", leaf.source):
            detail += f": '{looked_for}' has no value"
        return detail

    def _where(self, error: BaseException) -> tuple[Leaf | None, str]:
        number, line = divmod(line_of(self.template, error), STRIDE)
        if not line:
            return None, f"{self.part.name}, line 0"
        leaf = self._leaves[number]
        return leaf, f"{leaf.name}, line {line}"


def line_of(template: Template, error: BaseException) -> int:
    """The line of the template that raised, the innermost one in a macro; 0 where it is not known."""
    lines = [line for path, line in _frames(error) if path == template.filename]
    return template.get_corresponding_lineno(lines[-1]) if lines else 0


def _frames(error: BaseException) -> Iterator[tuple[str, int]]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next


def _encoded(text: str) -> bytes:
    """UTF-8, in which halves of surrogate pairs, which a template can write, are question marks."""
    return text.encode("utf-8", "replace")
