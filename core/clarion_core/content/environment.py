"""The sandbox that templates are compiled and run in."""

from __future__ import annotations

from functools import cache
from typing import Any

import markupsafe
from jinja2 import StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from clarion_core.content import document, filters
from clarion_core.content.generator import DirectGenerator
from clarion_core.content.types import ESCAPED

# `lipsum` makes text of any length; `random` would make a repeated attempt say something else than the first.
_REMOVED_GLOBALS = ("lipsum",)
_REMOVED_FILTERS = ("random", "pprint")
_METHODS = frozenset(dir(dict))


class BareUndefined(StrictUndefined):
    """A missing value: every use raises, and the error's message is the bare name that was looked for.

    Jinja's own message mixes the name into a sentence. The name may be data (`prices[sku]`), so whoever reports the
    error has to see it apart.
    """

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        return str(self._undefined_hint or self._undefined_name)


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """Jinja2's immutable sandbox without loader: a template stands alone.

    In `order.items` a key of the data wins over a method of the same name, and `none` prints as nothing.
    """

    code_generator_class = DirectGenerator

    # What the generated code escapes plain text with, and all else. The first is the second's inner part, which does
    # not wrap its result as `Markup`: an output is joined with others at once.
    escape_text = staticmethod(getattr(markupsafe, "_escape_inner", markupsafe.escape))
    escaped = staticmethod(markupsafe.escape)

    def __init__(self) -> None:
        super().__init__(
            undefined=BareUndefined,
            autoescape=_escapes,
            finalize=_printed,
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
        )
        for name in _REMOVED_GLOBALS:
            del self.globals[name]
        for name in _REMOVED_FILTERS:
            del self.filters[name]
        self.filters.update(filters.FILTERS)
        self.filters[document.AS_STRING] = self.filters[document.AS_VALUE] = document.json_text

    def getattr(self, obj: Any, attribute: str) -> Any:
        """What `obj.attribute` is in a template."""
        if type(obj) is dict:
            if attribute in obj:
                return obj[attribute]
            if attribute not in _METHODS:
                return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)


@cache
def environment() -> TemplateEnvironment:
    """The environment of this process; it holds no state of templates."""
    return TemplateEnvironment()


def compile_template(source: str, name: str) -> Template:
    """Compile one template under a name like `email.html`; a `TemplateSyntaxError` where it can't be."""
    env = environment()
    # The environment's own globals: a chain of maps, which Jinja would make of them, is slow to walk for each context.
    return Template.from_code(env, env.compile(source, name, name), env.globals)


def _escapes(name: str | None) -> bool:
    return name in ESCAPED


def _printed(value: Any) -> Any:
    return "" if value is None else value
