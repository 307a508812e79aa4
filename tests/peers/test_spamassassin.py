"""SpamAssassin, by what a message holds alone (no network), finds little to say against the mail of the examples."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

from clarion_core.content.compiled import CompiledContent
from clarion_core.content.types import HTML, SUBJECT, TEXT, RenderedTexts
from clarion_core.domain.medium import Channel
from clarion_workers.channels.email import EmailMessage, Letterhead
from clarion_workers.channels.email.letterhead import Bounces, Unsubscribing
from clarion_workers.channels.email.message import BuiltEmail
from clarion_workers.channels.email.mime import MimeBuilder
from support.dkim import both_keys, signing, verified
from support.example_orders import request_of, revision, valid_orders

MOST = 1.0
SHARED = Letterhead(
    signers=signing(*both_keys("shop.example")).signers,
    bounces=Bounces(domain="bounces.shop.example", secret=b"a secret of bounces"),
    unsubscribing=Unsubscribing(url="https://go.shop.example/{delivery}", mailto="mailto:off@shop.example"),
    feedback_sender="lumenloom",
)
_VERDICT = re.compile(r"^X-Spam-Status: (.*(?:\n[ \t].*)*)", re.MULTILINE)
_SCORE = re.compile(r"score=(-?[0-9.]+)required=.*tests=([A-Z0-9_,]+?)(?:autolearn|version)")


def test_the_example_campaigns_mail_is_no_spam_in_any_language(tmp_path: Path) -> None:
    messages = example_messages()
    assert len(messages) > 10
    box = tmp_path / "box"
    box.write_bytes(b"".join(b"From a@b Sat Nov 28 14:00:00 2026\n" + one_of_a_box(each) for each in messages.values()))
    done = subprocess.run(["spamassassin", "--local", "--mbox", str(box)], capture_output=True, timeout=110, check=True)
    found = [
        (float(score), tests.split(","))
        for verdict in _VERDICT.findall(done.stdout.decode("utf-8", "replace"))
        for score, tests in _SCORE.findall(re.sub(r"\s+", "", verdict))
    ]
    assert len(found) == len(messages)
    assert [(score, tests) for score, tests in found if score > MOST] == []
    # It did look: every one of these has HTML in it.
    assert all("HTML_MESSAGE" in tests for _, tests in found)


def one_of_a_box(content: bytes) -> bytes:
    """As mailboxes keep it."""
    return content.replace(b"\r\n", b"\n").replace(b"\nFrom ", b"\n>From ") + b"\n"


def example_messages() -> dict[str, bytes]:
    """One order of each locale, as it goes out."""
    campaign = revision()
    compiled, builder = CompiledContent(campaign, Channel.EMAIL), MimeBuilder("shop.example", SHARED)
    found: dict[str, bytes] = {}
    for number, order in enumerate(valid_orders()):
        request = request_of(order)
        if request.locale in found:
            continue
        rendered = compiled.render(request)
        assert isinstance(rendered, RenderedTexts)
        assert campaign.definition.email
        message = EmailMessage(
            delivery_id=f"00j4k00000000000000000e-{number}",
            sender=campaign.definition.email.sender,
            reply_to=campaign.definition.email.reply_to,
            to_address=request.email,
            subject=rendered.get(SUBJECT),
            html=rendered.texts[HTML],
            text=rendered.texts[TEXT],
            date_s=time.time(),
            workspace="default",
            campaign="order-confirmation",
            category=campaign.definition.category.value,
        )
        built = builder.build(message)
        assert isinstance(built, BuiltEmail)
        assert verified(built.content, *both_keys("shop.example")) == [True, True]
        found[request.locale] = built.content
    return found
