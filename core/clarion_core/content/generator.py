"""The Python that a template becomes: what Jinja would write, but for the four things that most of its time goes to.

An attribute of plain data, an output that is text already, a name that the caller gave and the joining of outputs are
written out in place, where Jinja calls a function. Everything else, and every other case of these, is Jinja's: its
generator is the oracle of this module's tests.
"""

from __future__ import annotations

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.idtracking import VAR_LOAD_RESOLVE, VAR_LOAD_UNDEFINED

from clarion_core.content.compiler import Unfolding


class DirectGenerator(Unfolding):
    """Generates for a `TemplateEnvironment`: its `getattr` and `finalize` are known here."""

    def write_commons(self) -> None:
        """The locals that the generated code relies on."""
        super().write_commons()
        self.writeline("given = context.parent.get")
        self.writeline("escape_text, escaped, printed = environment.escape_text, environment.escaped, str")

    def enter_frame(self, frame: Frame) -> None:
        """At the beginning of a template nothing is set, so that a name is what was given, or missing."""
        if not frame.rootlevel:
            super().enter_frame(frame)
            return
        for target, (action, name) in frame.symbols.loads.items():
            if action == VAR_LOAD_RESOLVE:
                self.writeline(f"{target} = given({name!r}, missing)")
            elif action == VAR_LOAD_UNDEFINED:
                self.writeline(f"{target} = missing")
        self.buffer(frame)

    def leave_frame(self, frame: Frame, with_python_scope: bool = False) -> None:
        """A template gives its text in one piece."""
        super().leave_frame(frame, with_python_scope)
        if frame.rootlevel:
            self.writeline(f"yield concat({frame.buffer})")

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        """`TemplateEnvironment.getattr`, its first case in place."""
        name = repr(node.attr)
        self.write(f"(owner[{name}] if type(owner := ")
        self.visit(node.node, frame)
        self.write(f") is dict and {name} in owner else environment.getattr(owner, {name}))")

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo) -> None:
        if frame.eval_ctx.volatile:
            super()._output_child_pre(node, frame, finalize)
            return
        text = "escape_text(shown)" if frame.eval_ctx.autoescape else "shown"
        self.write(f"({text} if type(shown := ")

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo) -> None:
        if frame.eval_ctx.volatile:
            super()._output_child_post(node, frame, finalize)
            return
        other = "escaped" if frame.eval_ctx.autoescape else "printed"
        self.write(f") is str else '' if shown is None else {other}(shown))")
