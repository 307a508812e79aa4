"""Signed mail: one core builds and signs messages of 6 KB (RSA-2048), and so do `email.message` and `dkimpy`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from email.message import EmailMessage as Obvious
from email.policy import SMTP
from email.utils import formatdate

import dkim

from benchmarks.plan import Plan
from benchmarks.rows import Row, compared
from clarion_workers.channels.email.dkim import Key
from clarion_workers.channels.email.message import BuiltEmail, EmailMessage
from clarion_workers.channels.email.mime import MimeBuilder
from support.dkim import both_keys, pem, signing, verified

OCTETS = 6_000  # of text and HTML together
_LINE = "A line of a letter, as people write them when they have something to say, number {}."
_DOMAIN, _SELECTOR = "example.com", "r2026"


async def measure(plan: Plan) -> list[Row]:
    """Messages a second, ours beside the libraries'."""
    key = next(key for key in both_keys(_DOMAIN) if key.selector == _SELECTOR)
    builder, secret = MimeBuilder("mail.example.com", signing(key)), pem(key.private).encode()
    ours, theirs = _messages(plan.signed), _messages(plan.signed // 15)
    size = _check(builder, key, secret)
    rates: tuple[list[float], list[float]] = [], []
    for _ in range(plan.rounds):
        rates[0].append(_rate(ours, builder.build))
        rates[1].append(_rate(theirs, lambda message: _obvious(message, secret)))
    return [compared("dkim_signed", "msg/s", *rates, note=f"RSA-2048, {size:,} bytes a message")]


def _rate(messages: Sequence[EmailMessage], build: Callable[[EmailMessage], object]) -> float:
    started = time.process_time()
    for message in messages:
        build(message)
    return len(messages) / (time.process_time() - started)


def _messages(count: int) -> list[EmailMessage]:
    return [_message(number) for number in range(count)]


def _message(number: int) -> EmailMessage:
    # As in a campaign's mail, most lines are the same for everybody.
    lines = [_LINE.format(line if line % 5 else line * number) for line in range(OCTETS // len(_LINE) // 2)]
    return EmailMessage(
        delivery_id=f"00j4k-{number}",
        sender="Shop <orders@example.com>",
        to_address=f"ada{number}@example.com",
        subject=f"Your order {number}",
        text="\n".join(lines).encode(),
        html="\n".join(f"<p>{line}</p>" for line in lines).encode(),
        date_s=time.time(),
    )


def _obvious(message: EmailMessage, secret: bytes) -> bytes:
    made = Obvious()
    made["From"], made["To"], made["Subject"] = message.sender, message.to_address, message.subject
    made["Date"], made["Message-ID"] = formatdate(message.date_s), f"<{message.delivery_id}@mail.example.com>"
    made.set_content(message.text.decode())
    made.add_alternative(message.html.decode(), subtype="html")
    content = made.as_bytes(policy=SMTP)
    signature: bytes = dkim.sign(
        content, _SELECTOR.encode(), _DOMAIN.encode(), secret, canonicalize=(b"relaxed", b"relaxed")
    )
    return signature + content


def _check(builder: MimeBuilder, key: Key, secret: bytes) -> int:
    """Both make good signatures, or there is nothing to compare; the octets of one of our messages."""
    built = builder.build(_message(7))
    assert isinstance(built, BuiltEmail)
    assert verified(built.content, key) == verified(_obvious(_message(7), secret), key) == [True]
    return len(built.content)
