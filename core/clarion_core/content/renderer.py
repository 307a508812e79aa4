"""Renders a campaign's messages, a batch at a time."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence

from jinja2 import Template, UndefinedError

from clarion_core.content.environment import HTML, SUBJECT, TEXT, compile_template, environment
from clarion_core.content.types import Rendered, RenderedEmail, RenderFailure, RenderRequest, Revision

_BREATH = 50  # messages between two looks at the event loop: a few milliseconds
# A run of controls and line ends, with the white space around it: one blank in a subject.
_BREAKS = re.compile(r"\s*[\x00-\x1f\x7f-\x9f\u2028\u2029]+\s*")


class Renderer:
    """Renders revisions; keeps the compiled templates of the `capacity` that were used last.

    Takes and gives plain values, so that it can run in another process.
    """

    def __init__(self, *, capacity: int = 256) -> None:
        self._capacity = capacity
        self._compiled: OrderedDict[str, _Email] = OrderedDict()

    async def render(self, revision: Revision, requests: Sequence[RenderRequest]) -> list[Rendered]:
        """One result a request, in order. What goes wrong for one recipient is that recipient's `RenderFailure`."""
        try:
            email = self._email(revision)
        except Exception as error:  # whatever a stored template does, the batch gets its answers
            return [RenderFailure(detail=f"can't be compiled: {type(error).__name__}")] * len(requests)
        rendered: list[Rendered] = []
        for start in range(0, len(requests), _BREATH):
            rendered += [email.render(request) for request in requests[start : start + _BREATH]]
            await asyncio.sleep(0)
        return rendered

    def _email(self, revision: Revision) -> _Email:
        email = self._compiled.get(revision.key)
        if email is None:
            email = self._compiled[revision.key] = _Email(revision)
            if len(self._compiled) > self._capacity:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(revision.key)
        return email


class _Email:
    """The compiled templates of one revision, and the values that are the same for all its recipients."""

    def __init__(self, revision: Revision) -> None:
        content = revision.definition.email
        if content is None:
            raise LookupError("no e-mail content")
        self.sources = {SUBJECT: content.subject, HTML: content.html, TEXT: content.text}
        self.templates = [compile_template(source, name) for name, source in self.sources.items()]
        self.fixed = {
            **environment().globals,
            **{field.name: None for field in revision.definition.context if not field.required},
            "campaign": {"id": revision.campaign_id, "display_name": revision.definition.display_name},
        }

    def render(self, request: RenderRequest) -> Rendered:
        """The e-mail for one recipient."""
        recipient = request.recipient
        values = {
            **self.fixed,
            **request.context,
            "recipient": {
                "user_id": recipient.user_id,
                "locale": recipient.locale,
                "email": recipient.addresses.get("email"),
            },
            "profile": recipient.profile,
        }
        texts = []
        for template in self.templates:
            # What Template.render does, without copying the values for each template: a test holds the two equal.
            context = template.new_context(values, shared=True)
            try:
                texts.append("".join(template.root_render_func(context)))
            except Exception as error:  # whatever a template does is its recipient's failure
                return RenderFailure(detail=self._explain(template, error))
        return RenderedEmail(subject=_one_line(texts[0]), html=texts[1], text=texts[2])

    def _explain(self, template: Template, error: Exception) -> str:
        """Template, line and error class. The message only where it is a name that stands in the template itself."""
        name = template.name or ""
        detail = f"{name}, line {_line(template, error)}: {type(error).__name__}"
        looked_for = error.message if isinstance(error, UndefinedError) else None
        if looked_for and re.search(rf"\b{re.escape(looked_for)}\b", self.sources[name]):
            detail += f": '{looked_for}' has no value"
        return detail


def _line(template: Template, error: Exception) -> int:
    """The template's line that raised, the innermost one in a macro."""
    lines = [line for path, line in _frames(error) if path == template.filename]
    return template.get_corresponding_lineno(lines[-1]) if lines else 0


def _frames(error: Exception) -> Iterator[tuple[str, int]]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next


def _one_line(subject: str) -> str:
    return subject.strip() if subject.isprintable() else _BREAKS.sub(" ", subject).strip()
