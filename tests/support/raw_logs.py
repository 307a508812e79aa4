"""The three raw logs that the reckoning stands on. Each line is one JSON object, written when what it tells happened:

- `acknowledged.jsonl`: a CreateTrigger call that was answered, by the caller;
- `sink.jsonl`: a message that was taken, by the SMTP sink;
- `ledger.jsonl`: a trigger, a delivery or a campaign as the service shows it at the end, through its public API.

Times are this machine's monotonic clock, in seconds. A line that is not whole, because its writer was killed, is none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from google.protobuf.json_format import MessageToDict, ParseDict

from clarion.v1.campaign_pb2 import Campaign
from clarion.v1.delivery_pb2 import Delivery
from clarion.v1.trigger_pb2 import Trigger
from clarion_client import Clarion, NotFound

ACKNOWLEDGED, SINK, LEDGER = "acknowledged.jsonl", "sink.jsonl", "ledger.jsonl"


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A CreateTrigger call that was answered: the trigger's name, and the address of every user id accepted."""

    trigger: str
    addresses: Mapping[str, str]
    time: float = 0.0


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that the sink took."""

    message_id: str
    recipients: tuple[str, ...]
    time: float = 0.0


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the service says: triggers by name, the deliveries of each, and their campaigns."""

    triggers: Mapping[str, Trigger]
    deliveries: Mapping[str, Sequence[Delivery]]
    campaigns: Sequence[Campaign]


def lines_of(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a log, in order."""
    with path.open(encoding="utf-8") as log:
        yield from (json.loads(line) for line in log if line.endswith("\n"))


def write_line(log: TextIO, line: Mapping[str, Any]) -> None:
    """Add a line, so that it is there should this process be killed next."""
    log.write(json.dumps(line) + "\n")
    log.flush()


def write_acknowledged(log: TextIO, call: Acknowledged) -> None:
    """Note a call that was answered."""
    write_line(log, {"time": call.time, "trigger": call.trigger, "addresses": dict(call.addresses)})


def read_acknowledged(path: Path) -> list[Acknowledged]:
    """The calls that were answered, in order."""
    return [Acknowledged(line["trigger"], line["addresses"], line["time"]) for line in lines_of(path)]


def read_taken(path: Path) -> list[Taken]:
    """The messages that the sink took, in order."""
    return [Taken(line["message_id"], tuple(line["rcpt_to"]), line["time"]) for line in lines_of(path)]


async def dump_ledger(client: Clarion, triggers: Iterable[str], path: Path) -> None:
    """Ask the service about these triggers, and write down what it says. One that it does not know is left out."""
    campaigns = {}
    with path.open("w", encoding="utf-8") as log:
        for name in dict.fromkeys(triggers):
            try:
                trigger = await client.get_trigger(name)
            except NotFound:
                continue
            campaigns[trigger.campaign] = True
            write_line(log, {"trigger": MessageToDict(trigger)})
            async for delivery in client.list_deliveries(name, page_size=500):
                log.write(json.dumps({"of": name, "delivery": MessageToDict(delivery)}) + "\n")
        for name in campaigns:
            write_line(log, {"campaign": MessageToDict(await client.get_campaign(name))})


def read_ledger(path: Path) -> Ledger:
    """What the service said."""
    triggers: dict[str, Trigger] = {}
    deliveries: dict[str, list[Delivery]] = {}
    campaigns = []
    for line in lines_of(path):
        if "trigger" in line:
            trigger = ParseDict(line["trigger"], Trigger())
            triggers[trigger.name] = trigger
            deliveries[trigger.name] = []
        elif "delivery" in line:
            deliveries[line["of"]].append(ParseDict(line["delivery"], Delivery()))
        else:
            campaigns.append(ParseDict(line["campaign"], Campaign()))
    return Ledger(triggers, deliveries, campaigns)
