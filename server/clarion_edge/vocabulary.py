"""Which words mean STOP and START: those of the SMS configurations that send by the account that somebody wrote to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from clarion_core.configuration import document
from clarion_core.configuration.channels import SmsPart
from clarion_core.domain.configuration import Configuration
from clarion_core.domain.keywords import USUAL, Keyword, Keywords, keyword_of
from clarion_core.domain.medium import Channel
from clarion_core.store.configurations import Configurations

Place = tuple[str, str]
"""A workspace and an account."""


class Vocabulary:
    """Keywords as configurations list them, read again when one of the store changed. `own` is the workers' own."""

    def __init__(self, configurations: Configurations, own: SmsPart | None = None) -> None:
        self._configurations, self._own = configurations, own
        self._kept: Mapping[Place, Sequence[Keywords]] = {}
        self._seen = -1

    async def meanings(self, workspaces: Sequence[str], account: str, text: str) -> dict[str, Keyword | None]:
        """What a text to an account of Twilio means in each workspace.

        Where several configurations of a workspace send by the account, STOP of one is enough, then START. Where none
        does, the usual words count: nobody who wrote STOP is overheard because a configuration is elsewhere.
        """
        await self._follow()
        return {workspace: self._meaning(workspace, account, text) for workspace in workspaces}

    def _meaning(self, workspace: str, account: str, text: str) -> Keyword | None:
        own = [self._own.keywords.keywords()] if self._own and account in _accounts(self._own) else []
        meant = {keyword_of(text, known) for known in [*own, *self._kept.get((workspace, account), ())] or [USUAL]}
        return next((keyword for keyword in Keyword if keyword in meant), None)

    async def _follow(self) -> None:
        changes = await self._configurations.changes()
        if changes != self._seen:
            self._kept = _by_place(await self._configurations.all())
            self._seen = changes


def _by_place(configurations: Sequence[Configuration]) -> Mapping[Place, Sequence[Keywords]]:
    found = defaultdict[Place, list[Keywords]](list)
    for each in configurations:
        part = document.kept(each) if each.channel is Channel.SMS else None
        if isinstance(part, SmsPart):
            for account in _accounts(part):
                found[each.workspace, account].append(part.keywords.keywords())
    return found


def _accounts(part: SmsPart) -> set[str]:
    return {provider.twilio.account_sid for provider in part.providers if provider.twilio}
