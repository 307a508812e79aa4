"""Makes the input of the example campaign `order-update`: `parcels.jsonl`, 240 parcels of an imaginary shop.

    python examples/make_parcels.py            # writes parcels.jsonl, and parcel.json, the context of one of them
    python examples/make_parcels.py --check    # exit code 1 if they are not what this program makes

The same files come out every time. A line is what `clarion trigger --file` takes. Who is reached where differs: by
mail, on a phone, on one or two devices, at a webhook, or several of these. People, orders and tokens are made up,
domains are reserved (RFC 2606), and phone numbers are those that five countries keep for films and books. Some parcels
are wrong on purpose: `REFUSED` are refused when they are triggered, `LOST` are accepted and can't arrive everywhere.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta, timezone
from pathlib import Path

from make_orders import FIRST_ORDER, REGIONS, Order, Region, make_order

HERE = Path(__file__).parent
PARCELS = 240
SEED = 20261125

# Numbers that nobody has: of the FCC's 555-01xx, Ofcom's, the Bundesnetzagentur's, the ARCEP's and the PTS's.
NUMBERS = {
    "en-US": "+120255501{:02}",
    "en-GB": "+4477009001{:02}",
    "de-DE": "+491713920{:03}",
    "fr-FR": "+336399800{:02}",
    "sv-SE": "+46701740{:03}",
}
FIRST_NUMBER = {"sv-SE": 605}
CARRIERS = {
    "Rheinpost": "https://rheinpost.example/v/{}?from=lumenloom&lang={}",
    "Northwind Parcels": "https://track.northwind.example/parcels/{}?lang={}&ref=lumenloom&utm_source=update&utm_medium=sms",
    "Colis Bleu": "https://colisbleu.example/suivi/{}",
}
PARTNERS = ("hooks.partner.example", "events.reseller.example", "api.concierge.example")


def parcels() -> Iterator[Order]:
    """All parcels, the wrong ones among them, in the order of the file."""
    rng = random.Random(SEED)
    for index in range(PARCELS):
        region = REGIONS[index % len(REGIONS)]
        parcel = make_parcel(rng, index, region)
        for faults in (REFUSED, LOST):
            if index in faults:
                faults[index](parcel["recipients"][0], parcel["context"])
        yield parcel


def make_parcel(rng: random.Random, index: int, region: Region) -> Order:
    """A right one."""
    order = make_order(rng, index, region)
    customer = order["recipients"][0]
    recipient = {
        "user_id": f"c-{20_001 + index}",
        **reached(rng, index, region, customer["addresses"]["email"]),
        "locale": region["locale"],
        "profile": {"first_name": customer["profile"]["first_name"]},
    }
    return {"recipients": [recipient], "context": make_context(rng, index, region, order["context"])}


def reached(rng: random.Random, index: int, region: Region, email: str) -> Order:
    """Where somebody is reached: every eighth on a phone or device alone, every third at a webhook too."""
    addresses = {"email": email}
    if region["locale"] in NUMBERS:
        number = FIRST_NUMBER.get(region["locale"], 1) + index // len(REGIONS)
        addresses["sms"] = NUMBERS[region["locale"]].format(number)
    devices = [device(index, at) for at in range(2 if index % 10 == 1 else rng.choice((0, 1, 1, 2)))]
    if index % 8 == 5 and (devices or "sms" in addresses):
        del addresses["email"]
    if index % 3 == 1:
        addresses["webhook"] = f"https://{rng.choice(PARTNERS)}/lumenloom/{20_001 + index}"
    return {"addresses": addresses, **({"devices": devices} if devices else {})}


def device(index: int, at: int) -> dict[str, str]:
    """Something that shows notifications, with a token as Firebase's look."""
    made = hashlib.sha256(f"{SEED} {index} {at}".encode()).hexdigest()
    return {"platform": "fcm", "token": f"{made[:22]}:APA91b{made[22:]}"}


def make_context(rng: random.Random, index: int, region: Region, order: Order) -> Order:
    """What the carrier told of an order."""
    status = rng.choice(("shipped", "shipped", "delivered", "delayed"))
    zone = timezone(timedelta(hours=region["utc_offset"]))
    changed = (FIRST_ORDER + timedelta(days=1, minutes=7 * index)).astimezone(zone)
    carrier = list(CARRIERS)[index % len(CARRIERS)]
    number = f"{carrier[:2].upper()}{rng.randint(10**9, 10**10 - 1)}"
    context = {
        "order_id": order["order_id"],
        "status": status,
        "changed_at": changed.isoformat(),
        "parcel": {
            "carrier": carrier,
            "tracking_number": number,
            "tracking_url": CARRIERS[carrier].format(number, region["locale"]),
        },
        "items": [
            {"name": item["name"], "sku": f"LL-{at + 1:02}", "quantity": item["quantity"]}
            for at, item in enumerate(order["items"])
        ],
        "total": order["total"],
        "currency": order["currency"],
    }
    if status != "delivered":
        context["expected_at"] = (changed + timedelta(days=2 if status == "shipped" else 5)).isoformat()
    return context


def _address(channel: str, text: str) -> Callable[[Order, Order], None]:
    return lambda recipient, context: recipient["addresses"].update({channel: text})


def _device(token: str) -> Callable[[Order, Order], None]:
    return lambda recipient, context: recipient.update(devices=[{"platform": "fcm", "token": token}])


def _missing(name: str) -> Callable[[Order, Order], None]:
    return lambda recipient, context: context.pop(name)


def _nowhere(recipient: Order, context: Order) -> None:
    recipient["addresses"] = {}
    recipient.pop("devices", None)


REFUSED: dict[int, Callable[[Order, Order], None]] = {
    41: _address("sms", "+44 7700 90"),  # digits are missing
    66: _address("sms", "0171 3920004"),  # of which country?
    97: _address("webhook", "ftp://hooks.partner.example/lumenloom"),
    118: _nowhere,  # nobody asked how to reach this customer
    150: _missing("order_id"),
    171: _address("email", "maria..lopez@example.com"),  # two dots
    213: _device(""),  # an app that was never allowed to notify
}

LOST: dict[int, Callable[[Order, Order], None]] = {
    21: _address("sms", "+447700900000"),  # not in service
    60: _device("gone:APA91bH8s2kQ"),  # the app was removed from it
    88: _address("webhook", "https://gone.partner.example/lumenloom"),  # wants no more
    131: _address("webhook", "https://10.0.0.7/internal"),  # tries to have our own network called
}


def files() -> dict[Path, str]:
    """The files and what they hold."""
    made = list(parcels())
    return {
        HERE / "parcels.jsonl": "".join(json.dumps(parcel, ensure_ascii=False) + "\n" for parcel in made),
        HERE / "parcel.json": json.dumps(made[1]["context"], ensure_ascii=False, indent=2) + "\n",
    }


def main(arguments: list[str]) -> int:
    """Write the files, or compare them."""
    made = files()
    if "--check" in arguments:
        return int(any(not path.exists() or path.read_text("utf-8") != text for path, text in made.items()))
    for path, text in made.items():
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
