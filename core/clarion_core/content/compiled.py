"""A campaign revision's templates, compiled: what the process that renders keeps of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from jinja2 import Template, UndefinedError

from clarion_core.content.environment import compile_template, environment
from clarion_core.content.types import (
    HTML,
    SUBJECT,
    TEXT,
    LimitReached,
    Plain,
    RenderedEmail,
    RenderFailure,
    RenderRequest,
    Revision,
)
from clarion_core.domain.context import ContextSchema

MOST = 2 * 1024 * 1024
"""Characters a rendered text may have."""

# A run of controls and line ends, with the white space around it: one blank in a subject.
_BREAKS = re.compile(r"\s*[\x00-\x1f\x7f-\x9f\u2028\u2029]+\s*")

Step = Callable[[str], None]


class OutOfTime(BaseException):
    """Raised from outside into work that takes too long. Not an `Exception`: no template's code catches it."""


def _no_step(_name: str) -> None: ...


class CompiledEmail:
    """The templates of one revision, and the values that are the same for all its recipients.

    Compiling raises what a template does wrong. `step` is told each template's name before it is worked on.
    """

    def __init__(self, revision: Revision, step: Step = _no_step) -> None:
        content = revision.definition.email
        if content is None:
            raise LookupError("no e-mail content")
        self._sources = {SUBJECT: content.subject, HTML: content.html, TEXT: content.text}
        self._templates = []
        for name, source in self._sources.items():
            step(name)
            self._templates.append(compile_template(source, name))
        self._schema = ContextSchema(revision.definition.context)
        campaign = {"id": revision.campaign_id, "display_name": revision.definition.display_name}
        self._fixed = {**environment().globals, "campaign": campaign}

    def render(
        self, request: RenderRequest[Plain], step: Step = _no_step
    ) -> RenderedEmail | RenderFailure | LimitReached:
        """The e-mail for one recipient, or why there is none: whatever its templates do is an answer."""
        values = self._values(request)
        texts = []
        for template in self._templates:
            name = template.name or ""
            step(name)
            # What Template.render does, without copying the values for each template: a test holds the two equal.
            context = template.new_context(values, shared=True)
            try:
                text = "".join(template.root_render_func(context))
            except (OutOfTime, MemoryError) as error:
                return LimitReached(place=_place(template, error), memory=isinstance(error, MemoryError))
            except Exception as error:  # whatever a template does is its recipient's failure
                return RenderFailure(detail=self._explain(template, error))
            if len(text) > MOST:
                return RenderFailure(detail=f"{name}: is longer than {MOST:,} characters")
            texts.append(text)
        subject, html, plain = (_encoded(text) for text in texts)
        return RenderedEmail(subject=_one_line(subject.decode()), html=html, text=plain)

    def _values(self, request: RenderRequest[Plain]) -> Plain:
        """The names that templates see."""
        return {
            **self._fixed,
            **self._schema.resolve(self._schema.base(request.shared), request.context),
            "recipient": {"user_id": request.user_id, "locale": request.locale, "email": request.email},
            "profile": request.profile,
        }

    def _explain(self, template: Template, error: Exception) -> str:
        """Place and error class. The message only where it is a name that stands in the template itself."""
        detail = f"{_place(template, error)}: {type(error).__name__}"
        looked_for = error.message if isinstance(error, UndefinedError) else None
        if looked_for and re.search(rf"\b{re.escape(looked_for)}\b", self._sources[template.name or ""]):
            detail += f": '{looked_for}' has no value"
        return detail


def _place(template: Template, error: BaseException) -> str:
    """The template and its line that raised, the innermost one in a macro."""
    lines = [line for path, line in _frames(error) if path == template.filename]
    return f"{template.name}, line {template.get_corresponding_lineno(lines[-1]) if lines else 0}"


def _frames(error: BaseException) -> Iterator[tuple[str, int]]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next


def _encoded(text: str) -> bytes:
    """UTF-8, in which halves of surrogate pairs, which a template can write, are question marks."""
    return text.encode("utf-8", "replace")


def _one_line(subject: str) -> str:
    return subject.strip() if subject.isprintable() else _BREAKS.sub(" ", subject).strip()
