"""Jinja's compiler, twice: to compile without evaluating anything, and to find the names that nobody gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jinja2 import Environment, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.idtracking import VAR_LOAD_ALIAS, VAR_LOAD_RESOLVE
from jinja2.meta import TrackingCodeGenerator

# What Clarion's own names hold, where that is the same for every recipient.
ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "recipient": ("user_id", "locale", "email", "phone"),
    "campaign": ("id", "display_name"),
}


@dataclass(frozen=True, slots=True)
class Missing:
    """A name nobody gives, at the first line that uses it. `of` is the object it was asked of, empty for variables."""

    name: str
    line: int
    of: str = ""


def missing_names(env: Environment, tree: nodes.Template, known: frozenset[str]) -> list[Missing]:
    """Each name once that is neither known, nor a global of the environment, nor set by the template itself."""
    walk = _NameWalk(env, known | env.globals.keys())
    walk.visit(tree)
    first: dict[tuple[str, str], Missing] = {}
    for missing in sorted(walk.missing, key=lambda missing: missing.line):
        first.setdefault((missing.of, missing.name), missing)
    return list(first.values())


class Unfolding(CodeGenerator):
    """Evaluates nothing at compile time: to check `{{ 'A' * 10**9 }}` must not cost a gigabyte."""

    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo) -> str:
        if not isinstance(node, nodes.TemplateData):
            raise nodes.Impossible
        return super()._output_child_to_const(node, frame, finalize)


class _NameWalk(Unfolding, TrackingCodeGenerator):
    """Jinja's own scoping decides what is local: its compiler walks the tree, and nothing is written."""

    def __init__(self, env: Environment, known: frozenset[str]) -> None:
        super().__init__(env)
        self.optimizer = None  # the base class has it on whatever the environment says, and it evaluates
        self.known = known
        self.missing: list[Missing] = []

    def visit_Name(self, node: nodes.Name, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        super().visit_Name(node, frame)
        if node.ctx == "load" and node.name not in self.known and _is_outer(node, frame):
            self.missing.append(Missing(node.name, node.lineno))

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        super().visit_Getattr(node, frame)
        owner = node.node
        if not isinstance(owner, nodes.Name) or node.attr in ATTRIBUTES.get(owner.name, (node.attr,)):
            return
        if _is_outer(owner, frame):
            self.missing.append(Missing(node.attr, node.lineno, owner.name))

    def visit_Filter(self, node: nodes.Filter, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        # In a soft frame the compiler lets unknown filters pass, which are reported apart.
        super().visit_Filter(node, frame.soft())

    def visit_Test(self, node: nodes.Test, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        super().visit_Test(node, frame.soft())


def _is_outer(node: nodes.Name, frame: Frame) -> bool:
    """Whether the name is looked up in the context, as far as the compiler knows."""
    load = frame.symbols.find_load(frame.symbols.ref(node.name))
    while load is not None and load[0] == VAR_LOAD_ALIAS:
        load = frame.symbols.find_load(load[1])
    return load is not None and load[0] == VAR_LOAD_RESOLVE
