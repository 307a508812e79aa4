"""The files under examples/ as the domain's values: the campaign's definition, and the orders as render requests."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from clarion_core.content.types import Plain, RenderRequest, Revision
from clarion_core.domain.campaign import Category, ContextField, Definition, FieldType
from clarion_core.domain.content import EmailContent
from clarion_core.domain.recipient import Recipient

EXAMPLES = Path(__file__).parents[2] / "examples"
CAMPAIGN = EXAMPLES / "campaigns" / "order-confirmation"


@cache
def definition() -> Definition:
    """The example campaign, read as `clarion apply` reads it."""
    campaign = yaml.safe_load((CAMPAIGN / "campaign.yaml").read_text("utf-8"))
    email = campaign["contents"][0]["email"]
    return Definition(
        display_name=campaign["display_name"],
        description=campaign["description"],
        category=Category(campaign["category"]),
        context=tuple(_field(**field) for field in campaign["context"]),
        email=EmailContent(
            sender=email["from"],
            reply_to=email["reply_to"],
            **{part: (CAMPAIGN / email[f"{part}_file"]).read_text("utf-8") for part in ("subject", "html", "text")},
        ),
    )


def revision() -> Revision:
    return Revision(key="default/order-confirmation/1", campaign_id="order-confirmation", definition=definition())


def orders() -> list[dict[str, Any]]:
    """Every line of orders.jsonl, the wrong ones among them."""
    return [json.loads(line) for line in (EXAMPLES / "orders.jsonl").read_text("utf-8").splitlines()]


def valid_orders() -> list[dict[str, Any]]:
    faults = make_orders().FAULTS
    return [order for index, order in enumerate(orders()) if index not in faults]


def request_of(order: dict[str, Any]) -> RenderRequest[Plain]:
    """The order as what is rendered for its recipient."""
    recipient = Recipient(**order["recipients"][0])
    return RenderRequest(
        user_id=recipient.user_id,
        email=recipient.addresses["email"],
        locale=recipient.locale,
        profile=dict(recipient.profile),
        context=dict(recipient.context),
        shared=order["context"],
    )


@cache
def make_orders() -> ModuleType:
    """The program that makes the files."""
    spec = importlib.util.spec_from_file_location("make_orders", EXAMPLES / "make_orders.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _field(*, name: str, type: str, **rest: Any) -> ContextField:  # noqa: A002 - the file's word
    return ContextField(name=name, type=FieldType[type.upper()], has_default="default" in rest, **rest)
