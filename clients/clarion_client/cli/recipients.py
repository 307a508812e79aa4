"""One recipient on the command line: who it is, and where each channel reaches it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from clarion_client.cli.problems import BadInput

PLATFORMS = ("fcm", "apns", "web")

ToOption = Annotated[str, typer.Option("--to", metavar="EMAIL", help="The recipient's e-mail address.")]
PhoneOption = Annotated[str, typer.Option("--phone", metavar="NUMBER", help="Its number for text messages: +4915112…")]
WebhookOption = Annotated[str, typer.Option("--webhook", metavar="URL", help="The address of its webhook.")]
DevicesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--device",
        metavar="PLATFORM:TOKEN",
        help="A device for push: fcm:TOKEN, apns:TOKEN or web:SUBSCRIPTION. @FILE in the place of the token takes it "
        "from a file. Repeatable.",
    ),
]


def recipient_of(
    *, to: str, phone: str, webhook: str, devices: list[str] | None, user_id: str, locale: str
) -> dict[str, Any] | None:
    """The recipient of these options; None where they name no address.

    typer.BadParameter where a device is in no form, BadInput where a file can't be used.
    """
    addresses = {name: address for name, address in (("email", to), ("sms", phone), ("webhook", webhook)) if address}
    found = [_device(each) for each in devices or ()]
    if not addresses and not found:
        return None
    who = user_id or next(iter(addresses.values()), "") or found[0]["token"][:128]
    recipient: dict[str, Any] = {"user_id": who, "addresses": addresses, "locale": locale}
    return recipient | ({"devices": found} if found else {})


def _device(text: str) -> dict[str, str]:
    platform, colon, token = text.partition(":")
    if platform not in PLATFORMS or not colon or not token:
        raise typer.BadParameter(f"write {', '.join(PLATFORMS)} and the token: fcm:dQw4w9…", param_hint="--device")
    if token.startswith("@"):
        try:
            token = Path(token[1:]).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{token[1:]}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}") from None
    return {"platform": platform, "token": token}
