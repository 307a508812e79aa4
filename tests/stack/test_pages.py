"""What the pages show fits the code: configurations, campaigns, commands, calls, settings, and links."""

from __future__ import annotations

import importlib
import itertools
import pkgutil
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer
import yaml
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_health.v1 import health_pb2  # noqa: F401 - its service is called too

import clarion.v1
from clarion_client.cli import app, campaign_files
from clarion_core.configuration.channels import Channels
from clarion_core.configuration.file import read_as
from clarion_core.environment import unknown
from clarion_core.settings import SECRET_ENV_PREFIX
from clarion_edge.configuration import Receipts
from support.grpcurl import translated

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
SERVICES = [importlib.import_module(f"clarion.v1.{each.name}") for each in pkgutil.iter_modules(clarion.v1.__path__)]
SHELL = ("console", "sh")
OPERATORS = frozenset({"&&", "||", "|", ";"})
CAMPAIGN = {"id", *campaign_files.SETTABLE}


def ids(value: object) -> str:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else ""


def blocks(page: Path, *languages: str) -> list[str]:
    named = "|".join(languages)
    return re.findall(rf"^```(?:{named})\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: Path, program: str) -> Iterator[list[str]]:
    """The commands of a page that run this program, as words."""
    for block in blocks(page, *SHELL):
        begun = ""
        for line in block.splitlines():
            begun += line if begun else line.removeprefix("$ ")
            try:
                words = _words(begun)
            except ValueError:  # an open quote: it goes on in the next line
                begun += "\n"
                continue
            if begun.endswith("\\"):
                begun = begun.removesuffix("\\")
                continue
            begun = ""
            for operator, command in itertools.groupby(words, OPERATORS.__contains__):
                name, *arguments = command
                if not operator and name == program:
                    yield arguments


def _words(text: str) -> list[str]:
    lexer = shlex.shlex(text.removesuffix("\\"), posix=True, punctuation_chars=";&|")
    lexer.whitespace_split = True
    return list(lexer)


def pages_with(*languages: str) -> list[Path]:
    return [page for page in PAGES if blocks(page, *languages)]


def read_as_what_it_is(text: str, folder: Path) -> None:
    """Channels, receipts, a campaign or a part of one; whatever is none of them is the document of a webhook."""
    document, file = yaml.safe_load(text), folder / "campaign.yaml"
    file.write_text(text, "utf-8")
    if document.keys() <= Channels.model_fields.keys():
        read_as(Channels, file)
    elif document.keys() <= Receipts.model_fields.keys():
        read_as(Receipts, file)
    elif document.keys() <= CAMPAIGN:
        file.write_text(text if "id" in document else f"id: order-update\n{text}", "utf-8")
        for name in set(re.findall(r"\w+_file: *([\w.-]+)", text)):
            (folder / name).write_text("type: order.updated\n")
        campaign_files.read(file)
    else:
        file.write_text(yaml.safe_dump({"id": "a-webhook", "contents": [{"webhook": {"body": document}}]}), "utf-8")
        campaign_files.read(file)


@pytest.mark.parametrize("page", pages_with("yaml"), ids=ids)
def test_every_configuration_and_campaign_of_a_page_is_read(page: Path, tmp_path: Path) -> None:
    for text in blocks(page, "yaml"):
        read_as_what_it_is(text, tmp_path)


@pytest.mark.parametrize("page", pages_with(*SHELL), ids=ids)
def test_every_clarion_command_of_a_page_exists_with_its_options(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for words in commands(page, "clarion"):
        parse(typer.main.get_command(app), words)


def parse(command: Any, words: list[str], parent: click.Context | None = None) -> None:
    """Read a command as the command line does, and run nothing. ClickException where it would complain."""
    context = command.make_context("clarion", list(words), parent=parent)
    if isinstance(command, click.Group):
        rest = [*context.protected_args, *context.args] if hasattr(context, "protected_args") else context.args
        _, found, rest = command.resolve_command(context, rest)
        parse(found, rest, context)


@pytest.mark.parametrize("page", pages_with(*SHELL), ids=ids)
def test_every_call_of_a_page_fits_the_contract(page: Path) -> None:
    for words in commands(page, "grpcurl"):
        _, *options, url = translated(words)
        if "--data" not in options:
            continue
        service, _, method = url.partition("7171/")[2].rpartition("/")
        request = descriptor_pool.Default().FindServiceByName(service).methods_by_name[method].input_type
        json_format.Parse(options[options.index("--data") + 1], message_factory.GetMessageClass(request)())


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_setting_that_a_page_names_is_one(page: Path) -> None:
    named = set(re.findall(r"\bCLARION_[A-Z_]*[A-Z](?![A-Z_*…])", page.read_text("utf-8")))
    assert unknown(dict.fromkeys(named, "")) == {}
    assert SECRET_ENV_PREFIX.removesuffix("_") not in named


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if not target.startswith(("http://", "https://", "#")):
            assert (page.parent / target.partition("#")[0]).exists(), target
