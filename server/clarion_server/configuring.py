"""Channel configurations: checked, kept as versions, tested by a worker, and not taken from under a campaign."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import replace

from clarion_core.configuration import document
from clarion_core.configuration.channels import ChannelPart
from clarion_core.domain.campaign import CampaignState, Category, Definition
from clarion_core.domain.configuration import Configuration, Finding, configuration_name
from clarion_core.domain.content import EmailContent
from clarion_core.domain.errors import (
    ChannelConfigurationExists,
    ChannelConfigurationInUse,
    ChannelConfigurationNotFound,
    ConcurrentChange,
    EtagMismatch,
    FieldProblem,
    InvalidRequest,
)
from clarion_core.domain.medium import Channel
from clarion_core.store.campaigns import CampaignStore, RequestKey
from clarion_core.store.configurations import Configurations, decode_configuration
from clarion_core.store.records import fingerprint
from clarion_core.store.store import Store

TRIES = 5
TEST_S = 30.0
CAMPAIGNS_AT_ONCE = 200
PATH = "channel_configuration"


class Configuring:
    """Reads and changes channel configurations. Changes answer with it and whether an earlier call made them."""

    def __init__(
        self, store: Configurations, campaigns: CampaignStore, blocking: Store, *, test_s: float = TEST_S
    ) -> None:
        self._store, self._campaigns, self._blocking, self._test_s = store, campaigns, blocking, test_s

    async def get(self, workspace: str, configuration_id: str, version: int = 0) -> Configuration:
        """A configuration as it is, or was. `ChannelConfigurationNotFound`."""
        if version:
            found = await self._store.version(workspace, configuration_id, version)
        else:
            found = (await self._store.read(workspace, configuration_id)).configuration
        if found is None:
            raise ChannelConfigurationNotFound(configuration_name(configuration_id))
        return found

    async def page(self, workspace: str, after: str, limit: int) -> tuple[list[Configuration], str]:
        """Configurations in the order of their ids, behind `after`; and the id to go on behind, empty at the end."""
        return await self._store.page(workspace, after, limit)

    async def create(
        self, wanted: Configuration, request_id: str, *, validate_only: bool
    ) -> tuple[Configuration, bool]:
        """Store a new one."""
        request = _request(request_id, "create", wanted)
        if request_id and (earlier := await self._store.answered(wanted.workspace, request, wanted.name)):
            return decode_configuration(earlier), True
        _check(wanted)
        slot = await self._store.read(wanted.workspace, wanted.id)
        if slot.configuration is not None:
            raise ChannelConfigurationExists(wanted.name)
        made = replace(wanted, version=slot.version + 1, create_ms=slot.now_ms, update_ms=slot.now_ms)
        if validate_only:
            return made, False
        earlier_answer = await self._store.put(made, slot, request)
        return earlier_answer or made, earlier_answer is not None

    async def update(
        self, wanted: Configuration, etag: str, request_id: str, *, channel_given: bool, validate_only: bool
    ) -> tuple[Configuration, bool]:
        """Replace what one says; its channel and category are fixed."""
        request = _request(request_id, "update", wanted, etag)
        if request_id and (earlier := await self._store.answered(wanted.workspace, request, wanted.name)):
            return decode_configuration(earlier), True
        for _ in range(TRIES):
            slot = await self._store.read(wanted.workspace, wanted.id)
            before = _found(slot.configuration, wanted.id, etag)
            changed = _with_what_is_fixed(wanted, before, channel_given=channel_given)
            _check(changed)
            if changed.says_the_same(before):
                return before, False
            changed = replace(changed, version=slot.version + 1, create_ms=before.create_ms, update_ms=slot.now_ms)
            if validate_only:
                return changed, False
            try:
                earlier_answer = await self._store.put(changed, slot, request)
            except ConcurrentChange:
                continue
            return earlier_answer or changed, earlier_answer is not None
        raise ConcurrentChange(wanted.name)

    async def delete(self, workspace: str, configuration_id: str, etag: str, request_id: str) -> bool:
        """Remove one; True where an earlier call had. `ChannelConfigurationInUse`."""
        name = configuration_name(configuration_id)
        request = RequestKey(id=request_id or str(uuid.uuid4()), fingerprint=fingerprint(("delete", name, etag)))
        if request_id and await self._store.answered(workspace, request, name) is not None:
            return True
        for _ in range(TRIES):
            found = _found((await self._store.read(workspace, configuration_id)).configuration, configuration_id, etag)
            await self._must_be_unused(found)
            try:
                return await self._store.delete(found, request)
            except ConcurrentChange:
                continue
        raise ConcurrentChange(name)

    async def test(self, workspace: str, configuration_id: str) -> tuple[str, tuple[Finding, ...]]:
        """Have a worker connect to the providers; the worker, and what it found. `NoWorker`."""
        if configuration_id not in list(Channel):  # which workers may have in their file
            await self.get(workspace, configuration_id)
        told = await self._store.ask(workspace, configuration_id, blocking=self._blocking, wait_s=self._test_s)
        if not told.known:
            raise ChannelConfigurationNotFound(configuration_name(configuration_id))
        return told.worker, told.findings

    async def content_problems(self, workspace: str, definition: Definition, path: str) -> list[FieldProblem]:
        """What is wrong with the configurations that a campaign's contents name; `path` is the campaign's."""
        problems: list[FieldProblem] = []
        for index, (channel, content) in enumerate(definition.contents.items()):
            place = f"{path}.contents[{index}]"
            name = content.configuration or channel.value
            found = (await self._store.read(workspace, name)).configuration
            if found is None and name != channel.value:
                problems.append(_there_is_none(place, name))
                continue
            if found is not None:
                problems += _unfit(found, channel, definition.category, place)
                problems += _overridden(found, content, place)
            elif isinstance(content, EmailContent) and not content.sender:
                described = "is required, unless channel_configuration names one that has a sender"
                problems.append(FieldProblem(path=f"{place}.email.from", description=described))
        return problems

    async def _must_be_unused(self, found: Configuration) -> None:
        after = ""
        while True:
            campaigns, after = await self._campaigns.page(found.workspace, after, CAMPAIGNS_AT_ONCE)
            for campaign in campaigns:
                named = {content.configuration for content in campaign.definition.contents.values()}
                if found.id in named and campaign.state is not CampaignState.STOPPED:
                    raise ChannelConfigurationInUse(found.name, campaign.name)
            if not after:
                return


def _there_is_none(place: str, configuration_id: str) -> FieldProblem:
    description = f"there is no {configuration_name(configuration_id)}; create it first"
    return FieldProblem(path=f"{place}.channel_configuration", description=description)


def _unfit(found: Configuration, channel: Channel, category: Category, place: str) -> Iterable[FieldProblem]:
    path = f"{place}.channel_configuration"
    if found.channel is not channel:
        yield FieldProblem(path=path, description=f"{found.name} is for {found.channel}, this content for {channel}")
    if not found.serves(category):
        assert found.category
        description = f"{found.name} is for {found.category} campaigns, this one is {category}"
        yield FieldProblem(path=path, description=description)


def _overridden(found: Configuration, content: object, place: str) -> Iterable[FieldProblem]:
    """Fields that the configuration decides, and the campaign says too; or that neither says."""
    part = document.check(found.channel, found.settings, "")
    for field, wire in FIELDS.get(found.channel, {}).items():
        says = bool(getattr(content, field))
        path = f"{place}.{found.channel}.{wire}"
        if says and field not in _overridable(part):
            yield FieldProblem(path=path, description=f"must be left out: {found.name} decides it")
        elif not says and field == "sender" and found.channel is Channel.EMAIL and not getattr(part, field):
            yield FieldProblem(path=path, description=f"is required: {found.name} has none either")


FIELDS = {
    Channel.EMAIL: {"sender": "from", "reply_to": "reply_to"},
    Channel.SMS: {"sender": "sender"},
}
"""What both a configuration and a content may say: our name of it, and the contract's."""


def _overridable(part: ChannelPart) -> tuple[str, ...]:
    return tuple(getattr(part, "overridable", ()))


def _check(configuration: Configuration) -> None:
    try:
        document.check(configuration.channel, configuration.settings, f"{PATH}.settings")
    except document.SettingsInvalid as error:
        raise InvalidRequest.of(error.problems) from None


def _found(configuration: Configuration | None, configuration_id: str, etag: str) -> Configuration:
    if configuration is None:
        raise ChannelConfigurationNotFound(configuration_name(configuration_id))
    if etag and etag != configuration.etag:
        raise EtagMismatch(configuration.name, configuration.etag)
    return configuration


def _with_what_is_fixed(wanted: Configuration, before: Configuration, *, channel_given: bool) -> Configuration:
    problems = []
    if channel_given and wanted.channel is not before.channel:
        problems.append(FieldProblem(path=f"{PATH}.channel", description=f"is {before.channel} for good"))
    if wanted.category and wanted.category is not before.category:
        kept = before.category or "for all categories"
        problems.append(FieldProblem(path=f"{PATH}.category", description=f"is {kept} for good"))
    if problems:
        raise InvalidRequest.of(problems)
    return replace(wanted, channel=before.channel, category=before.category)


def _request(request_id: str, what: str, wanted: Configuration, etag: str = "") -> RequestKey:
    values = (wanted.channel.value, wanted.category, wanted.display_name, wanted.description, wanted.settings)
    return RequestKey(id=request_id or str(uuid.uuid4()), fingerprint=fingerprint((what, wanted.key, etag, *values)))
