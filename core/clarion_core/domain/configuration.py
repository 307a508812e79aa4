"""A channel configuration as it is kept: for a workspace, in versions. What its settings mean is read elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clarion_core.domain.campaign import Category
from clarion_core.domain.medium import Channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """How a channel's messages leave. `settings` is a JSON object; secrets in it are references.

    `category`: the campaigns that it may be used by, None: all.
    """

    workspace: str
    id: str
    channel: Channel
    settings: Mapping[str, object]
    category: Category | None = None
    display_name: str = ""
    description: str = ""
    version: int = 1
    create_ms: int = 0
    update_ms: int = 0

    @property
    def name(self) -> str:
        """The resource name."""
        return configuration_name(self.id)

    @property
    def etag(self) -> str:
        """Identifies this version of the resource."""
        return f'"{self.version}"'

    @property
    def key(self) -> str:
        """The name that is unique over workspaces."""
        return configuration_key(self.workspace, self.id)

    def says_the_same(self, other: Configuration) -> bool:
        """Whether there is no difference but in version and times."""
        mine = (self.display_name, self.description, self.settings, self.channel, self.category)
        return mine == (other.display_name, other.description, other.settings, other.channel, other.category)

    def serves(self, category: Category) -> bool:
        """Whether campaigns of a category may use it. A message that is urgent is a transactional one."""
        if self.category is None:
            return True
        return (self.category is Category.MARKETING) == (category is Category.MARKETING)


def configuration_name(configuration_id: str) -> str:
    """`channelConfigurations/{configuration}`."""
    return f"channelConfigurations/{configuration_id}"


def configuration_key(workspace: str, configuration_id: str) -> str:
    """`workspace/configuration`: unique over workspaces, since neither part may hold a slash."""
    return f"{workspace}/{configuration_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a test found at one provider. `detail` is for people and holds no secret."""

    provider: str
    kind: str
    ok: bool
    detail: str
    took_ms: int = 0
