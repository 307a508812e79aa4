"""Triggers one order confirmation and watches it until every recipient is accounted for.

python trigger.py [CAMPAIGN] [EMAIL] [ORDER.json]        CLARION_SERVER says where the server is.

Without arguments: the campaign in examples/campaigns/order-confirmation, once it is applied and activated.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import clarion_client
from clarion.v1.delivery_pb2 import Delivery

ORDER = Path(__file__).parents[3] / "examples/order.json"


async def main(campaign: str, email: str, context: dict[str, Any]) -> int:
    """Trigger, watch, and say what became of it: 0 if everything was sent."""
    async with clarion_client.connect() as clarion:
        recipient = {"user_id": email, "addresses": {"email": email}}
        trigger = (await clarion.create_trigger(campaign, [recipient], context)).trigger
        print(f"accepted {trigger.name}")
        counts = trigger.counts
        async for step in clarion.watch_trigger(trigger.name):
            counts = step.snapshot.counts if step.HasField("snapshot") else step.change.counts
            for change in step.change.deliveries:
                print(f"{change.delivery.rpartition('/')[2]} {Delivery.State.Name(change.state)}")
    print(f"sent {counts.sent} of {counts.accepted}")
    return 0 if counts.sent == counts.accepted else 1


if __name__ == "__main__":
    defaults = ("order-confirmation", "ana@example.com", str(ORDER))
    name, address, file = [*sys.argv[1:], *defaults[len(sys.argv) - 1 :]]
    try:
        order = json.loads(Path(file).read_text("utf-8"))
        sys.exit(asyncio.run(main(name, address, order["context"])))
    except clarion_client.ClarionError as error:
        sys.exit(f"{error.reason or error.code.name}: {error.message}")
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"{file}: {error}")
