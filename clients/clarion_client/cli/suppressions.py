"""`clarion suppressions`: whom not to send to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Annotated

import typer

from clarion.v1.suppression_pb2 import AddressVerdict, EntryVerdict, Suppression
from clarion_client import list_target
from clarion_client.cli import list_run, list_views
from clarion_client.cli.arguments import LimitOption, SinceOption
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
from clarion_client.cli.list_files import CHANNELS, REASONS, Defaults
from clarion_client.cli.session import Session, command
from clarion_client.values import to_timestamp

app = typer.Typer(no_args_is_help=True, help="Whom not to send to, by channel; in force at once.")


def _reason(word: str) -> str:
    if (known := word.lower().replace("-", "_")) not in REASONS:
        raise typer.BadParameter(f"{word!r} is not one of {', '.join(REASONS)}")
    return known


ReasonOption = Annotated[str, typer.Option(metavar="REASON", parser=_reason, help=f"Why: one of {', '.join(REASONS)}.")]
ReasonsOption = Annotated[
    list[str] | None,
    typer.Option("--reason", metavar="REASON", parser=_reason, help="Only for this reason. Repeatable."),
]


def _number(reason: str) -> Suppression.Reason.ValueType:
    return Suppression.Reason.ValueType(REASONS[reason])


@command(app)
async def add(
    session: Session,
    values: ValuesArgument,
    channel: ChannelOption = "email",
    reason: ReasonOption = "manual",
    comment: CommentOption = "",
    source: SourceOption = "cli",
    expires: ExpiresOption = None,
) -> Exit:
    """Send no more to addresses or domains, from now on."""
    targets = [list_target(channel, value) for value in values]
    entries = [
        Suppression(
            target=target,
            reason=_number(reason),
            comment=comment,
            source=source,
            expire_time=to_timestamp(expires, "expires"),
        )
        for target in targets
    ]
    return list_run.verdicts(session, targets, await session.clarion.add_suppressions(entries))


@command(app)
async def remove(session: Session, values: ValuesArgument, channel: ChannelOption = "email") -> Exit:
    """Send to addresses or domains again."""
    targets = [list_target(channel, value) for value in values]
    return list_run.verdicts(session, targets, await session.clarion.remove_suppressions(targets))


@command(app)
async def check(
    session: Session,
    addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS…", help="As recipients have them.")],
    channel: ChannelOption = "email",
    pass_over_complaints: Annotated[
        bool, typer.Option("--pass-over-complaints", help="Answer for campaigns that pass over complaints.")
    ] = False,
) -> Exit:
    """Say whether addresses would be sent to now, and why not. Exit code 1 where one would not."""
    found = await session.clarion.check_addresses(channel, addresses, pass_over_complaints=pass_over_complaints)

    async def each() -> AsyncIterator[AddressVerdict]:
        for verdict in found:
            yield verdict

    await session.out.messages(each(), list_views.verdict_list, limit=0, nothing="nothing to check")
    return Exit.OK if all(verdict.may_receive for verdict in found) else Exit.REFUSED


@command(app, "list")
async def list_(
    session: Session,
    channel: ChannelOption = "email",
    reason: ReasonsOption = None,
    source: SourceOption = "",
    prefix: PrefixOption = "",
    since: SinceOption = None,
    limit: LimitOption = 0,
) -> None:
    """List a channel's suppressions, in an order of the list's own."""
    found = session.clarion.list_suppressions(
        channel,
        reasons=[_number(word) for word in reason or ()],
        source=source,
        prefix=prefix,
        from_time=since,
        page_size=500,
    )
    await session.out.messages(found, list_views.suppression_list, limit=limit, nothing="no suppressions")


@command(app, "import")
async def import_(
    session: Session,
    file: FileArgument,
    channel: ChannelOption = "email",
    reason: ReasonOption = "import",
    source: SourceOption = "import",
    dry_run: DryRunOption = False,
) -> Exit:
    """Add what a CSV file holds. Columns: channel, type, value, reason, comment, source, expire_time; value is enough.

    Files of Adobe Journey Optimizer (TYPE,VALUE,COMMENT) are read as they are. A run that broke off is repeated as it
    is.
    """

    async def send(entries: Sequence[Suppression], timeout_s: float) -> Sequence[EntryVerdict]:
        return await session.clarion.add_suppressions(entries, validate_only=dry_run, timeout_s=timeout_s)

    defaults = Defaults(channel=channel, reason=REASONS[reason], source=source)
    return await list_run.import_file(session, file, send, defaults, dry_run=dry_run)


@command(app)
async def export(session: Session, channel: ChannelsOption = None, to: ToOption = None) -> None:
    """Write suppressions as CSV that `import` reads: those of all channels, or of some."""
    await list_run.export(
        session, [session.clarion.list_suppressions(each, page_size=500) for each in channel or CHANNELS], to
    )
