"""`clarion channels`: how messages leave, kept as files, looked at and tested."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from clarion.v1.channel_configuration_pb2 import ChannelConfiguration
from clarion_client import ClarionError, InvalidArgument, NotFound, short_name
from clarion_client.cli import channel_files, channel_views
from clarion_client.cli.arguments import ConfigurationArgument, LimitOption
from clarion_client.cli.channel_files import ChannelFile
from clarion_client.cli.exits import Exit, exit_for
from clarion_client.cli.output import as_dict
from clarion_client.cli.problems import file_block
from clarion_client.cli.session import Session, command
from clarion_client.names import configuration_name

VERSIONS = 20
"""So many are kept."""

app = typer.Typer(no_args_is_help=True, help="Channel configurations: how messages leave, and whether they could.")


@command(app, "list")
async def list_(session: Session, limit: LimitOption = 0) -> None:
    """List the channel configurations of the workspace."""
    found = session.clarion.list_channel_configurations()
    await session.out.messages(found, channel_views.listed, limit=limit, nothing="no channel configurations")


@command(app)
async def show(
    session: Session,
    configuration: ConfigurationArgument,
    version: Annotated[int, typer.Option("--version", min=0, help="An earlier one; 0: the one in force.")] = 0,
) -> None:
    """Show one, with its settings."""
    found = await session.clarion.get_channel_configuration(configuration, version=version)
    session.out.message(found, channel_views.one)


@command(app)
async def history(session: Session, configuration: ConfigurationArgument) -> None:
    """Show its last versions, and what each changed."""
    versions = [await session.clarion.get_channel_configuration(configuration)]
    while len(versions) < VERSIONS and versions[-1].version > 1:
        try:
            versions.append(
                await session.clarion.get_channel_configuration(configuration, version=versions[-1].version - 1)
            )
        except NotFound:
            break
    if session.out.as_json:
        session.out.document([as_dict(each) for each in versions])
    else:
        session.out.show(channel_views.history(versions))


@command(app)
async def apply(
    session: Session,
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="YAML files, one document a configuration.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and compare, change nothing.")] = False,
) -> Exit:
    """Create or update channel configurations from files.

    Says of each whether it was created, changed (and what) or unchanged. All files are read before the first one is
    sent, so a mistake in one changes nothing. A change is in force within a second.
    """
    results, worst = [], Exit.OK
    for file in channel_files.read_all(files):
        try:
            results.append(await _apply_one(session, file, dry_run=dry_run))
        except ClarionError as error:
            results.append(_failure(session, file, error))
            worst = worst or exit_for(error)
    if session.out.as_json:
        session.out.document(results)
    return worst


@command(app)
async def test(session: Session, configuration: ConfigurationArgument) -> Exit:
    """Have a worker look at each provider, without a message. Ends with 1 where one is not well."""
    with session.out.waiting(f"a worker looks at the providers of {short_name(configuration)} …"):
        answer = await session.clarion.test_channel_configuration(configuration)
    session.out.message(answer, lambda found: channel_views.findings(found.findings))
    return Exit.OK if all(each.ok for each in answer.findings) else Exit.REFUSED


@command(app)
async def delete(
    session: Session,
    configuration: ConfigurationArgument,
    etag: Annotated[str, typer.Option(metavar="ETAG", help="Only if it is still the one with this etag.")] = "",
) -> None:
    """Remove one that no campaign names any more, but for stopped ones."""
    await session.clarion.delete_channel_configuration(configuration, etag=etag)
    session.out.say(Text(short_name(configuration), "bold").append(": deleted", "default"), {})


async def _apply_one(session: Session, file: ChannelFile, *, dry_run: bool) -> dict[str, Any]:
    made, change, changed = await _create_or_update(session, file, dry_run=dry_run)
    line = Text(f"{file.configuration_id}: ", "bold").append(change, "dim" if change == "unchanged" else "green")
    line.append(f" ({', '.join(changed)})" if changed else "")
    session.out.done(line.append(" (dry run)", "yellow") if dry_run else line)
    return {"change": change, "changed": changed, "channel_configuration": as_dict(made)}


async def _create_or_update(
    session: Session, file: ChannelFile, *, dry_run: bool
) -> tuple[ChannelConfiguration, str, list[str]]:
    clarion, wanted = session.clarion, ChannelConfiguration()
    wanted.CopyFrom(file.configuration)
    try:
        before = await clarion.get_channel_configuration(file.configuration_id)
    except NotFound:
        made = await clarion.create_channel_configuration(file.configuration_id, wanted, validate_only=dry_run)
        return made, "created", []
    wanted.name = configuration_name(file.configuration_id)
    made = await clarion.update_channel_configuration(wanted, etag=before.etag, validate_only=dry_run)
    if made.version == before.version:
        return made, "unchanged", []
    return made, "changed", channel_views.changes(before, made)


def _failure(session: Session, file: ChannelFile, error: ClarionError) -> dict[str, Any]:
    """Show the error where it stands in the file, or as it is; the same for scripts."""
    problems = list(channel_files.file_problems(file, error)) if isinstance(error, InvalidArgument) else []
    for problem in problems:
        session.out.complain(file_block(problem))
    told: list[dict[str, Any]] = [
        {"file": str(each.path), "line": each.line, "column": each.column, "message": each.message} for each in problems
    ]
    if not problems:
        session.complain(error)
        told = [{"reason": error.reason or error.code.name, "message": error.message}]
    return {"change": "failed", "changed": [], "channel_configuration_id": file.configuration_id, "errors": told}
