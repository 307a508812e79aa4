"""`clarion allow-list`: whom alone to send to, while it is active."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from clarion.v1.suppression_pb2 import AllowedEntry, EntryVerdict, Suppression
from clarion_client import list_target
from clarion_client.cli import list_run, list_views
from clarion_client.cli.arguments import LimitOption
from clarion_client.cli.exits import Exit
from clarion_client.cli.list_arguments import (
    ChannelOption,
    ChannelsOption,
    CommentOption,
    DryRunOption,
    ExpiresOption,
    FileArgument,
    PrefixOption,
    SourceOption,
    ToOption,
    ValuesArgument,
)
from clarion_client.cli.list_files import CHANNELS, Defaults
from clarion_client.cli.question import can_ask, says_yes
from clarion_client.cli.session import Session, command
from clarion_client.values import to_timestamp

app = typer.Typer(no_args_is_help=True, help="Whom alone to send to, by channel, while it is active.")


@command(app)
async def show(session: Session, channel: ChannelOption = "email") -> None:
    """Say whether a channel's allow list is active, and how long it is."""
    session.out.message(await session.clarion.get_allow_list(channel), list_views.allow_list)


@command(app)
async def activate(
    session: Session,
    channel: ChannelOption = "email",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, though the list is empty.")] = False,
) -> None:
    """Send to those on the list alone, from now on. While it is empty, nothing is sent: asks first at a terminal."""
    found = await session.clarion.get_allow_list(channel)
    question = f"the allow list of {channel} is empty: send nothing at all on {channel}?"
    if not found.entries and not yes and can_ask(session) and not await says_yes(session, question):
        session.out.note("nothing is changed")
        return
    found = await session.clarion.set_allow_list_active(channel, active=True)
    session.out.message(found, list_views.allow_list)


@command(app)
async def deactivate(session: Session, channel: ChannelOption = "email") -> None:
    """Send to whoever is not suppressed again. The list stays."""
    found = await session.clarion.set_allow_list_active(channel, active=False)
    session.out.message(found, list_views.allow_list)


@command(app)
async def add(
    session: Session,
    values: ValuesArgument,
    channel: ChannelOption = "email",
    comment: CommentOption = "",
    source: SourceOption = "cli",
    expires: ExpiresOption = None,
) -> Exit:
    """Let addresses or domains through."""
    targets = [list_target(channel, value) for value in values]
    until = to_timestamp(expires, "expires")
    entries = [AllowedEntry(target=each, comment=comment, source=source, expire_time=until) for each in targets]
    return list_run.verdicts(session, targets, await session.clarion.add_allowed(entries))


@command(app)
async def remove(session: Session, values: ValuesArgument, channel: ChannelOption = "email") -> Exit:
    """Let addresses or domains through no more."""
    targets = [list_target(channel, value) for value in values]
    return list_run.verdicts(session, targets, await session.clarion.remove_allowed(targets))


@command(app, "list")
async def list_(
    session: Session, channel: ChannelOption = "email", prefix: PrefixOption = "", limit: LimitOption = 0
) -> None:
    """List a channel's allow list, in an order of its own."""
    found = session.clarion.list_allowed(channel, prefix=prefix, page_size=500)
    await session.out.messages(found, list_views.allowed_list, limit=limit, nothing="the list is empty")


@command(app, "import")
async def import_(
    session: Session,
    file: FileArgument,
    channel: ChannelOption = "email",
    source: SourceOption = "import",
    dry_run: DryRunOption = False,
) -> Exit:
    """Add what a CSV file holds. Columns: channel, type, value, comment, source, expire_time; value is enough.

    A run that broke off is repeated as it is.
    """

    async def send(entries: Sequence[Suppression], timeout_s: float) -> Sequence[EntryVerdict]:
        allowed = [_allowed(entry) for entry in entries]
        return await session.clarion.add_allowed(allowed, validate_only=dry_run, timeout_s=timeout_s)

    defaults = Defaults(channel=channel, source=source)
    return await list_run.import_file(session, file, send, defaults, dry_run=dry_run)


@command(app)
async def export(session: Session, channel: ChannelsOption = None, to: ToOption = None) -> None:
    """Write allow lists as CSV that `import` reads: those of all channels, or of some."""
    await list_run.export(
        session, [session.clarion.list_allowed(each, page_size=500) for each in channel or CHANNELS], to
    )


def _allowed(entry: Suppression) -> AllowedEntry:
    until = entry.expire_time if entry.HasField("expire_time") else None
    return AllowedEntry(target=entry.target, source=entry.source, comment=entry.comment, expire_time=until)
