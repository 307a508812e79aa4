"""The receipts file: the example fits, and what is said of one that does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from clarion_core.configuration.file import ChannelsInvalid, read_as
from clarion_core.environment import allowed
from clarion_edge.configuration import HttpCallbackPart, Receipts, SignaturePart

ROOT = Path(__file__).parents[2]
SECRET = "canary4711"
SNS = "sns: {topics: ['arn:aws:sns:eu-west-1:1:a']}"
HTTP = "secret: {env: S}, delivery: /id, status: /status, statuses: {A: delivered}"


def test_the_example_fits() -> None:
    names = ("TWILIO_AUTH_TOKEN", "INFOBIP_RECEIPTS_SECRET", "MAILGUN_RECEIPTS_SECRET", "BOUNCE_SECRET")
    receipts = read_as(Receipts, ROOT / "examples" / "receipts.yaml", dict.fromkeys(names, SECRET))
    assert [source.name for source in receipts.sources] == ["ses", "twilio", "infobip", "mailgun", "mailgun-failed"]
    assert receipts.mail
    assert receipts.mail.held_secrets(dict.fromkeys(names, SECRET)) == [SECRET.encode()]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("sources: [{name: one}]", "sources[0]: needs one of sns, twilio, http"),
        (f"sources: [{{name: one, {SNS}, twilio: {{auth_token: {{env: S}}}}}}]", "sources[0]: needs one of"),
        (f"sources: [{{name: one, {SNS}}}, {{name: one, {SNS}}}]", "sources: two are called one; each needs a name"),
        (
            "sources: [{name: one, sns: {topics: []}}]",
            "topics: must be a list of 1 to 64 ARNs of topics",
        ),
        (
            "sources: [{name: one, twilio: {auth_token: {env: S}, stop: [Halt]}}]",
            "sources[0].twilio.stop: is not known here",
        ),
        ("sources: [{name: one, sns: {topics: [clarion]}}]", "sources[0].sns.topics: has one that is no ARN"),
        (f"sources: [{{name: one, twilio: {{auth_token: {SECRET}}}}}]", "must not stand here itself"),
        (f"sources: [{{name: one, http: {{{HTTP}, secret_hedder: X}}}}]", "did you mean secret_header?"),
        (f"sources: [{{name: one, http: {{{HTTP.replace('/id', 'id')}}}}}]", "must be a JSON pointer, like /results"),
        (f"sources: [{{name: one, http: {{{HTTP.replace('delivered', 'arrived')}}}}}]", "A must be one of delivered,"),
        (
            f"sources: [{{name: one, http: {{{HTTP}, codes: {{'1': delivered}}}}}}]",
            "1 must be one of invalid_recip",
        ),
        (
            f"sources: [{{name: one, http: {{{HTTP}, secret_header: A, signature: {{header: B}}}}}}]",
            "exclude each",
        ),
        ("mail: {domain: Bounces.Shop.Example, secret: {env: S}}", "mail.domain: must be a domain in lower case"),
        ("sauces: []", "sauces: is not known here; did you mean sources?"),
    ],
)
def test_a_problem_is_a_line_with_its_path(tmp_path: Path, text: str, line: str) -> None:
    file = tmp_path / "receipts.yaml"
    file.write_text(text)
    with pytest.raises(ChannelsInvalid) as refused:
        read_as(Receipts, file, {"S": SECRET})
    assert line in str(refused.value)
    assert SECRET not in str(refused.value)


def test_every_field_has_words_for_what_may_stand_there() -> None:
    found = parts(Receipts)
    assert {Receipts, HttpCallbackPart, SignaturePart} <= found
    for part in found:
        assert all(allowed(field) for field in part.model_fields.values())


def parts(kind: Any) -> set[type[BaseModel]]:
    """Every mapping that may stand in the file."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {kind}.union(*(parts(field.annotation) for field in kind.model_fields.values()))
    return set().union(*map(parts, get_args(kind)))
