"""What names look like, for people: the contract says it in patterns."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from clarion_client.names import (
    campaign_name,
    configuration_name,
    delivery_name,
    lane_name,
    trigger_name,
    worker_name,
)

_CAMPAIGN, _TRIGGER = "[a-z][a-z0-9-]{2,62}", "[a-z0-9]{20,40}"
_CAMPAIGN_LIKE, _TRIGGER_LIKE = "order-confirmation", "00j4k9x2m7q1c8v5b3n6"


@dataclass(frozen=True, slots=True)
class NameForm:
    """One kind of name: how it is written in full, the contract's pattern of that, and the rule in words."""

    full: Callable[[str], str]
    pattern: str
    rule: str

    def fits(self, name: str) -> bool:
        """Whether the name, in full or in short, can be right."""
        return re.fullmatch(self.pattern, self.full(name), re.ASCII) is not None


CAMPAIGN_ID = NameForm(
    lambda campaign_id: campaign_id,
    _CAMPAIGN,
    f"a campaign's id is 3 to 63 of a-z, 0-9 and -, the first a letter, like {_CAMPAIGN_LIKE}",
)
CAMPAIGN = NameForm(
    campaign_name,
    f"campaigns/{_CAMPAIGN}",
    f"a campaign's name is 3 to 63 of a-z, 0-9 and -, the first a letter, like {_CAMPAIGN_LIKE}",
)
TRIGGER = NameForm(
    trigger_name,
    f"{CAMPAIGN.pattern}/triggers/{_TRIGGER}",
    f"a trigger's name is CAMPAIGN/TRIGGER, like {_CAMPAIGN_LIKE}/{_TRIGGER_LIKE}",
)
DELIVERY = NameForm(
    delivery_name,
    f"{TRIGGER.pattern}/deliveries/{_TRIGGER}-[0-9]{{1,6}}",
    f"a delivery's name is CAMPAIGN/TRIGGER/DELIVERY, like {_CAMPAIGN_LIKE}/{_TRIGGER_LIKE}/{_TRIGGER_LIKE}-17",
)
CONFIGURATION_ID = NameForm(
    lambda configuration_id: configuration_id,
    _CAMPAIGN,
    "a channel configuration's id is 3 to 63 of a-z, 0-9 and -, the first a letter, like orders-sms",
)
CONFIGURATION = NameForm(
    configuration_name,
    f"channelConfigurations/{_CAMPAIGN}",
    "a channel configuration's name is 3 to 63 of a-z, 0-9 and -, the first a letter, like orders-sms",
)
WORKER = NameForm(
    worker_name,
    "workers/[A-Za-z0-9][A-Za-z0-9._-]{0,127}",
    "a worker's name is what `clarion workers` shows, like mill-4711-0a1b2c",
)
LANE = NameForm(
    lane_name,
    "lanes/[a-z][a-z0-9-]{0,62}",
    "a lane's name is what `clarion workers lanes` shows, like marketing",
)
THROTTLE = NameForm(
    lambda name: name,
    f"{CAMPAIGN.pattern}|(channels/(email|sms|push|webhook)|{CONFIGURATION.pattern})(/providers/[a-z][a-z0-9-]{{0,31}})?",
    f"a throttle is for campaigns/{_CAMPAIGN_LIKE}, channels/sms, channelConfigurations/orders-sms, or a provider of "
    "the last two: channelConfigurations/orders-sms/providers/main",
)
CONTEXT_NAME = NameForm(
    lambda name: name,
    "[A-Za-z][A-Za-z0-9_]{0,63}",
    "a name of the context is up to 64 of a-z, A-Z, 0-9 and _, the first a letter, like order_id",
)
LOCALE = NameForm(
    lambda tag: tag,
    "|[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*",
    "a locale is a BCP 47 tag, like pt-BR",
)
REQUEST_ID = NameForm(
    lambda request_id: request_id,
    "|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "a request id is a UUID, like 0f4e2c9a-5b1d-4c3e-9a7f-2d6b8e1c0a35",
)
