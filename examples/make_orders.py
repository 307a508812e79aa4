"""Makes the example input: `orders.jsonl`, 544 orders of an imaginary shop, `order.json`, one of them, and its context.

    python examples/make_orders.py            # writes the files beside this one
    python examples/make_orders.py --check    # exit code 1 if they are not what this program makes

The same files come out every time. A line is what `clarion trigger --file` takes: one recipient and the context of the
campaign `order-confirmation`. Every person, address and order is made up, every domain is reserved (RFC 2606), and
amounts add up to the smallest unit of their currency. Thirteen orders are wrong on purpose, each in its own way that
happens in real life; `FAULTS` says which and how. The names, addresses and products are in `order_data.yaml`.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
ORDERS = 544
SEED = 20261124
FIRST_ORDER = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)

Order = dict[str, Any]
Region = dict[str, Any]

DATA = yaml.safe_load((HERE / "order_data.yaml").read_text("utf-8"))
REGIONS: list[Region] = DATA["regions"]
INTERNATIONAL: dict[int, str] = DATA["international"]


def orders() -> Iterator[Order]:
    """All orders, the wrong ones among them, in the order of the file."""
    rng = random.Random(SEED)
    for index in range(ORDERS):
        order = make_order(rng, index, REGIONS[index % len(REGIONS)])
        if index in INTERNATIONAL:
            order["recipients"][0]["addresses"]["email"] = INTERNATIONAL[index]
        if index in FAULTS:
            FAULTS[index](order["recipients"][0], order["context"])
        yield order


def make_order(rng: random.Random, index: int, region: Region) -> Order:
    """One right order of a region."""
    (given, given_latin), (family, family_latin) = (
        rng.choice(list(region[part].items())) for part in ("given", "family")
    )
    mailbox = f"{given_latin}.{family_latin}{rng.choice(('', '', rng.randint(2, 99)))}@{rng.choice(DATA['domains'])}"
    recipient = {
        "user_id": f"c-{10_001 + index}",
        "addresses": {"email": mailbox},
        "locale": region["locale"],
        "profile": {"first_name": given, "last_name": family},
    }
    ship_to = {
        "name": region["name"].format(given=given, family=family),
        "lines": [line.format(number=rng.randint(1, 180)) for line in rng.choice(region["addresses"])],
        "country": region["country"],
    }
    return {"recipients": [recipient], "context": make_context(rng, index, region) | {"ship_to": ship_to}}


def make_context(rng: random.Random, index: int, region: Region) -> Order:
    """What was ordered, in the region's currency."""
    placed = FIRST_ORDER + timedelta(minutes=11 * index, seconds=rng.randint(0, 600))
    order_id = f"LL-{104_000 + 7 * index}"
    context = {
        "order_id": order_id,
        "placed_at": placed.astimezone(timezone(timedelta(hours=region["utc_offset"]))).isoformat(),
        "currency": region["currency"],
        **make_amounts(rng, region),
        "payment": rng.choice(region["payments"]).format(digits=f"{rng.randint(0, 9999):04}"),
        "order_url": f"https://shop.example/orders/{order_id}",
    }
    if rng.random() < 0.12:
        context["note"] = in_language(DATA["notes"], region)
    return context


def make_amounts(rng: random.Random, region: Region) -> Order:
    """The items and what they come to. Amounts are whole numbers of the currency's smallest unit until the end."""
    items = [make_item(rng, product, region) for product in rng.sample(DATA["products"], item_count(rng))]
    subtotal = sum(item["total"] for item in items)
    discount = rounded(subtotal * 0.1, region) if rng.random() < 0.2 else 0
    shipping = 0 if rng.random() < 0.4 else price(6.5, region)
    total = subtotal - discount + shipping
    tax = round(total * region["tax"] / (1 + region["tax"]))
    sums = {"subtotal": subtotal, "discount": discount, "shipping": shipping, "tax": tax, "total": total}
    return {
        "items": [item | {key: amount(item[key], region) for key in ("unit_price", "total")} for item in items],
        **{name: amount(value, region) for name, value in sums.items()},
    }


def make_item(rng: random.Random, product: Order, region: Region) -> Order:
    """One line of an order."""
    quantity = rng.choice((1, 1, 1, 1, 2, 2, 3, 4, 6))
    unit_price = price(product["price"], region)
    item = {"name": in_language(product["names"], region), "quantity": quantity}
    if product["variants"]:
        item["variant"] = rng.choice(product["variants"])
    return item | {"unit_price": unit_price, "total": quantity * unit_price}


def in_language(texts: dict[str, str], region: Region) -> str:
    """The text in the region's language, or in English."""
    return texts.get(region["locale"][:2], texts["en"])


def item_count(rng: random.Random) -> int:
    """One to eight, mostly few."""
    return rng.choices(range(1, 9), weights=(24, 24, 20, 12, 8, 6, 4, 2))[0]


def price(usd: float, region: Region) -> int:
    """A price that a shop would ask, in the smallest unit."""
    return rounded(usd * region["rate"] * 10 ** DATA["decimals"][region["currency"]], region)


def rounded(units: float, region: Region) -> int:
    """A multiple of the region's price step."""
    step: int = region["step"]
    return max(1, round(units / step)) * step


def amount(units: int, region: Region) -> int | float:
    """The number that stands in the order: 1290 is 1290 yen, but 12.9 euros."""
    decimals: int = DATA["decimals"][region["currency"]]
    value = round(units / 10**decimals, decimals)
    return int(value) if value.is_integer() else value


def _address(text: str) -> Callable[[Order, Order], None]:
    return lambda recipient, context: recipient["addresses"].update(email=text)


def _value(name: str, value: object) -> Callable[[Order, Order], None]:
    return lambda recipient, context: context.update({name: value})


def _missing(name: str) -> Callable[[Order, Order], None]:
    return lambda recipient, context: context.pop(name)


def _no_address(recipient: Order, context: Order) -> None:
    recipient["addresses"] = {}


def _misspelt_total(recipient: Order, context: Order) -> None:
    context["totl"] = context.pop("total")


FAULTS: dict[int, Callable[[Order, Order], None]] = {
    17: _address("sofia.lindqvist.example.com"),  # typed without the @-sign
    58: _address("maria..lopez@example.com"),  # two dots
    101: _address("k.nowak@example,org"),  # a comma for a dot
    139: _address("t.meyer@inbox"),  # a domain cut off
    186: _address("eve@example.com\r\nBcc: everybody@example.org"),  # somebody tries to inject a header
    223: _no_address,  # an account from a shop till, with a phone number only
    264: _missing("order_id"),  # a field the caller forgot
    307: _missing("ship_to"),  # a voucher, which is shipped nowhere
    349: _value("total", "84,90 €"),  # an amount formatted too early
    388: _value("placed_at", "2026-11-24 09:30:00"),  # a local time without offset
    427: _value("items", {"name": "Linen tablecloth", "quantity": 1}),  # one item, not a list of one
    466: _value("coupon", "WELCOME10"),  # a name the campaign does not declare
    509: _misspelt_total,  # undeclared, and the right one is missing
}


def files() -> dict[Path, str]:
    """The files and what they hold."""
    made = list(orders())
    single = next(order for order in made if len(order["context"]["items"]) == 2)
    return {
        HERE / "orders.jsonl": "".join(json.dumps(order, ensure_ascii=False) + "\n" for order in made),
        HERE / "order.json": json.dumps(single, ensure_ascii=False, indent=2) + "\n",
        HERE / "context.json": json.dumps(single["context"], ensure_ascii=False, indent=2) + "\n",
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
