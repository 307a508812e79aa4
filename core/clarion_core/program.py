"""What the programs that run for long have in common: their command line, and how they begin."""

from __future__ import annotations

import argparse
import importlib.metadata
import textwrap
from typing import NoReturn

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from clarion_core import logs
from clarion_core.environment import SettingsT, allowed, load, unknown, variable

EXITS = """\
exit codes:
  0  ended when told to (SIGTERM, SIGINT), and drained
  1  ended by a defect; the traceback says where
  2  the command line, a setting or the store does not fit; a line says which
"""


class _Arguments(argparse.ArgumentParser):
    """An argument parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; it takes --help and --version, settings come from the environment\n")


def begin(cls: type[SettingsT], *, process: str, does: str) -> SettingsT:
    """Read the command line and the settings of `clarion-<process>`, and set up its logs. `does` is for --help.

    `--help` and `--version` print and end it with 0; a wrong argument or setting ends it with 2 and a line that says
    what is wrong. A `CLARION_*` name that no program of Clarion reads is only warned of: programs share an environment.
    """
    arguments = _Arguments(
        prog=f"clarion-{process}",
        description=does,
        epilog=f"{settings_help(cls)}\n{EXITS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    arguments.add_argument("--version", action="version", version=f"clarion {importlib.metadata.version('clarion')}")
    arguments.parse_args()
    settings = load(cls)
    logs.configure(settings, process=process)
    for name, meant in unknown().items():
        shown = name.encode(errors="replace").decode()  # the environment may hold any bytes
        logs.get(__name__).warning("setting_unknown", name=shown, **({"did_you_mean": meant} if meant else {}))
    return settings


def settings_help(cls: type[SettingsT]) -> str:
    """Every setting of a program: its name and default, its description, and what may stand there."""
    return "settings, from the environment:\n" + "".join(
        f"  {variable(name)} [{_default(field)}]\n{_indented(f'{field.description} Takes {allowed(field)}.')}\n"
        for name, field in cls.model_fields.items()
    )


def _default(field: FieldInfo) -> str:
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    return str(value).lower() if isinstance(value, bool) else "" if value is None else f"{value}"


def _indented(text: str) -> str:
    return textwrap.fill(text, 100, initial_indent=" " * 6, subsequent_indent=" " * 6)
