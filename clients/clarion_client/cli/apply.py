"""`clarion apply`: make the server's campaigns what the files say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from clarion.v1.campaign_pb2 import Campaign
from clarion_client import ClarionError, InvalidArgument, NotFound, Violation, campaign_name
from clarion_client.cli import campaign_files
from clarion_client.cli.campaign_files import SETTABLE, CampaignFile
from clarion_client.cli.exits import Exit, exit_for
from clarion_client.cli.output import as_dict
from clarion_client.cli.problems import BadInput, FileProblem, FilesInvalid, file_block
from clarion_client.cli.session import Session
from clarion_client.cli.yaml_places import Source

# `campaign.contents[0].email.subject:1:8`: a path in the request, and a place in its text where it is a template.
_PLACE = re.compile(r"(?:campaign\.)?(?P<field>.*?)(?::(?P<line>\d+):(?P<column>\d+))?")


async def apply(
    session: Session,
    directories: Annotated[
        list[Path], typer.Argument(metavar="DIR", help="Directories with a campaign.yaml, or one level above such.")
    ],
    activate: Annotated[bool, typer.Option("--activate", help="Make campaigns in DRAFT LIVE.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and compare, change nothing.")] = False,
) -> Exit:
    """Create or update campaigns from files.

    Says of each campaign whether it was created, changed (and which fields) or unchanged. All files are read before
    the first campaign is sent, so a mistake in one changes nothing. With --output json errors are in the result too.
    """
    try:
        files = _read_all(campaign_files.find(directories))
    except (FilesInvalid, BadInput) as error:
        if session.out.as_json:
            session.out.document([_failure(_as_errors(error))])
        raise
    results, worst = [], Exit.OK
    for file in files:
        try:
            results.append(await _apply_one(session, file, activate=activate, dry_run=dry_run))
        except ClarionError as error:
            results.append(_failure(_complain(session, file, error), file))
            worst = worst or exit_for(error)
    if session.out.as_json:
        session.out.document(results)
    return worst


def _read_all(paths: list[Path]) -> list[CampaignFile]:
    files: list[CampaignFile] = []
    problems: list[FileProblem] = []
    for path in paths:
        try:
            files.append(campaign_files.read(path))
        except FilesInvalid as error:
            problems += error.problems
    if problems:
        raise FilesInvalid(problems)
    return files


async def _apply_one(session: Session, file: CampaignFile, *, activate: bool, dry_run: bool) -> dict[str, Any]:
    campaign, change, fields = await _create_or_update(session, file, dry_run=dry_run)
    activated = activate and not dry_run and campaign.state == Campaign.STATE_DRAFT
    if activated:
        campaign = await session.clarion.activate_campaign(file.campaign_id, etag=campaign.etag)
    line = Text(f"{file.campaign_id}: ", "bold").append(change, "dim" if change == "unchanged" else "green")
    line.append(f" ({', '.join(fields)})" if fields else "").append(", activated" if activated else "")
    session.out.done(line.append(" (dry run)", "yellow") if dry_run else line)
    return {"change": change, "fields": fields, "activated": activated, "campaign": as_dict(campaign)}


async def _create_or_update(session: Session, file: CampaignFile, *, dry_run: bool) -> tuple[Campaign, str, list[str]]:
    clarion, campaign = session.clarion, Campaign()
    campaign.CopyFrom(file.campaign)
    try:
        current = await clarion.get_campaign(file.campaign_id)
    except NotFound:
        return await clarion.create_campaign(file.campaign_id, campaign, validate_only=dry_run), "created", []
    campaign.name = campaign_name(file.campaign_id)
    # The server says what it would store, so that defaults it fills in do not look like changes.
    wanted = await clarion.update_campaign(campaign, update_mask=SETTABLE, etag=current.etag, validate_only=True)
    fields = [name for name in SETTABLE if getattr(wanted, name) != getattr(current, name)]
    if not fields:
        return current, "unchanged", []
    if not dry_run:
        wanted = await clarion.update_campaign(campaign, update_mask=fields, etag=current.etag)
    return wanted, "changed", fields


def _complain(session: Session, file: CampaignFile, error: ClarionError) -> list[dict[str, Any]]:
    """Show the error where it stands in the files, or as it is; the same for scripts."""
    problems = list(_file_problems(file, error)) if isinstance(error, InvalidArgument) else []
    for problem in problems:
        session.out.complain(file_block(problem))
    if problems:
        return [{"reason": error.reason} | _place(problem) for problem in problems]
    session.complain(error)
    return [{"reason": error.reason or error.code.name, "message": error.message}]


def _failure(found: list[dict[str, Any]], file: CampaignFile | None = None) -> dict[str, Any]:
    campaign_id = {"campaign_id": file.campaign_id} if file else {}
    return {"change": "failed", "fields": [], "activated": False, **campaign_id, "errors": found}


def _as_errors(error: FilesInvalid | BadInput) -> list[dict[str, Any]]:
    return [_place(each) for each in error.problems] if isinstance(error, FilesInvalid) else [{"message": str(error)}]


def _place(problem: FileProblem) -> dict[str, Any]:
    return {"file": str(problem.path), "line": problem.line, "column": problem.column, "message": problem.message}


def _file_problems(file: CampaignFile, error: InvalidArgument) -> Iterator[FileProblem]:
    for index, violation in enumerate(error.violations):
        # The metadata tells the place of the first one, for servers whose paths carry none.
        yield _file_problem(file, violation, error.metadata if index == 0 else {})


def _file_problem(file: CampaignFile, violation: Violation, metadata: Mapping[str, str]) -> FileProblem:
    place = _PLACE.fullmatch(violation.field)
    path, line, column = place.groups(default="") if place else (violation.field, "", "")
    source = file.sources.get(path)
    at_line, at_column = (source or Source(file.path)).at(
        int(line or metadata.get("line", "0")), int(column or metadata.get("column", "0"))
    )
    message = violation.description if source else f"{violation.field}: {violation.description}"
    return FileProblem(path=source.path if source else file.path, line=at_line, column=at_column, message=message)
