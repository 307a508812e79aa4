"""What the configuration says of all mail of a channel, and what is said of it where it can't be."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from pydantic import BaseModel

from clarion_core.configuration.channels import EmailPart
from clarion_core.configuration.dkim import DkimPart, KeyRefused, signing_key
from clarion_core.configuration.file import ChannelsInvalid, read
from clarion_core.configuration.letterhead import BouncesPart, UnsubscribePart
from clarion_core.domain.channel import Seeds
from clarion_core.domain.medium import Medium
from clarion_core.environment import allowed
from clarion_workers.channels.email.letterhead import letterhead_of
from clarion_workers.channels.kind import Opening
from support.dkim import ed25519_key, pem, rsa_key, verified

SHORT = "0123456789abcde"
ENVIRONMENT = {"RSA": pem(rsa_key()), "ED": pem(ed25519_key()), "SECRET": f"{SHORT}f", "SHORT": SHORT}
KEY = "{domain: example.com, selector: r2026, private_key: {env: RSA}}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "channels.yaml"


def part(file: Path, fields: str, environment: dict[str, str] | None = ENVIRONMENT) -> EmailPart:
    file.write_text(f"email: {{providers: [{{name: one, smtp: {{host: a}}}}], {fields}}}")
    email = read(file, environment).email
    assert email
    return email


def test_keys_bounces_and_unsubscribing_are_read_once_and_ready(file: Path) -> None:
    email = part(
        file,
        f"dkim: [{KEY}, {{domain: example.com, selector: e2026, private_key: {{env: ED}}}}], "
        "bounces: {domain: b.example.com, secret: {env: SECRET}}, feedback_sender: lumenloom, "
        "unsubscribe: {url: 'https://u.example.com/{delivery}', mailto: 'mailto:off@example.com?subject={delivery}'}",
    )
    ready = letterhead_of(Opening(environment=ENVIRONMENT, message_id_domain="x.example", channel=email))
    assert ready.bounces
    assert ready.bounces.address("00abc-1").startswith("bounce+00abc-1.")
    assert ready.unsubscribing.ways("00abc-1") == (
        "https://u.example.com/00abc-1",
        "mailto:off@example.com?subject=00abc-1",
    )
    assert ready.feedback_sender == "lumenloom"
    assert ready.signers
    signer = ready.signers.of("example.com")
    assert signer
    content = b"From: a@example.com\r\n\r\nx\r\n"
    assert verified(signer.fields(content, 1) + content) == [True, True]


def test_nothing_of_it_must_be_there(file: Path) -> None:
    ready = letterhead_of(Opening(environment={}, message_id_domain="x.example", channel=part(file, "routing: order")))
    assert (ready.signers, ready.bounces, ready.unsubscribing.ways("x"), ready.feedback_sender) == (None, None, (), "")


@pytest.mark.parametrize("model", [DkimPart, BouncesPart, UnsubscribePart, EmailPart])
def test_every_field_has_words_for_what_may_stand_there(model: type[BaseModel]) -> None:
    assert all(allowed(field) for field in model.model_fields.values())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("dkim: [3]", "dkim[0]: must be a mapping with domain, selector and private_key"),
        ("dkim: [{domain: a}]", "dkim[0].domain: must be a domain in ASCII, like shop.example"),
        (
            KEY.replace("r2026", "r_1").join(("dkim: [", "]")),
            "dkim[0].selector: must be letters, digits and hyphens, in parts separated by dots",
        ),
        (
            f"dkim: [{KEY}, {KEY}]",
            "dkim: two are found under r2026._domainkey.example.com; a selector has one key",
        ),
        (f"dkim: [{KEY.replace('RSA', 'SECRET')}]", "dkim[0].private_key: is no private key in PEM"),
        (
            f"dkim: [{KEY.replace('{env: RSA}', '12')}]",
            "dkim[0].private_key: must be where it is: {env: NAME} or {file: path}",
        ),
        ("bounces: {domain: b.example, secret: {env: SHORT}}", "bounces.secret: needs 16 characters at least"),
        ("unsubscribe: {}", "unsubscribe: needs url, mailto or both"),
        (
            "unsubscribe: {url: 'http://a.example/{delivery}'}",
            "unsubscribe.url: must be an https URL with {delivery} in it, in ASCII, of 500 characters at most",
        ),
        (
            "unsubscribe: {url: 'https://a.example/>{delivery}'}",
            "unsubscribe.url: must be an https URL with {delivery} in it, in ASCII, of 500 characters at most",
        ),
        (
            "unsubscribe: {mailto: 'a@b.example'}",
            "unsubscribe.mailto: must be mailto: and an address in ASCII, perhaps with ?subject={delivery}",
        ),
        (
            "feedback_sender: a:b:c",
            "feedback_sender: must be 5 to 15 letters, digits and hyphens, the same one for ever",
        ),
    ],
)  # fmt: skip
def test_each_problem_is_a_line_with_its_path(file: Path, fields: str, said: str) -> None:
    with pytest.raises(ChannelsInvalid) as refused:
        part(file, fields)
    assert f"{file}: email.{said}" in refused.value.lines
    assert SHORT not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no private key in PEM"),
        (pem(rsa_key()).replace("MII", "MIJ"), "is no private key in PEM"),
        (pem(rsa_key(4104)), "is an RSA key of 4104 bits; must have 1024 to 4096, better 2048"),
        (pem(generate_private_key(SECP256R1())), "is neither an RSA key nor an Ed25519 one"),  # type: ignore[arg-type]
        (
            ed25519_key().private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"x"),
            ).decode(),
            "is an encrypted key",
        ),
    ],
    ids=["nothing", "broken", "long", "elliptic", "encrypted"],
)  # fmt: skip
def test_a_key_that_can_not_sign_is_refused(text: str, said: str) -> None:
    with pytest.raises(KeyRefused) as refused:
        signing_key(text)
    assert str(refused.value) == said


def test_keys_are_not_looked_for_where_they_are_not_used(file: Path) -> None:
    assert len(part(file, f"dkim: [{KEY}]", None).dkim) == 1


def test_seeds_are_addresses_and_a_profile_of_their_own(file: Path) -> None:
    email = part(file, "seeds: {addresses: [Inbox@SEEDS.example, b@seeds.example], profile: {name: Ada, tags: [1]}}")
    seeds = email.configuration(Medium.EMAIL).seeds
    assert seeds == Seeds(addresses=("Inbox@seeds.example", "b@seeds.example"), profile={"name": "Ada", "tags": [1]})
    assert part(file, "routing: order").configuration(Medium.EMAIL).seeds is None


@pytest.mark.parametrize(
    ("seeds", "says"),
    [
        ("{addresses: [a@b.example, nobody]}", "email.seeds.addresses[1]: is not an e-mail address"),
        ("{addresses: []}", "email.seeds.addresses: must be a list of 1 to 300 e-mail addresses"),
        ("{addresses: [a@b.example, A@b.example]}", "email.seeds: an address stands there twice"),
        (
            "{addresses: [a@b.example], profile: [1]}",
            "email.seeds.profile: must be a mapping, as",
        ),
        ("{addresses: [a@b.example], profile: {born: 2026-01-01}}", "email.seeds.profile.born: must be a mapping, as"),
        ("{profile: {}}", "email.seeds.addresses: is missing"),
    ],
)
def test_seeds_that_can_not_be_are_told_with_their_place(file: Path, seeds: str, says: str) -> None:
    with pytest.raises(ChannelsInvalid) as refused:
        part(file, f"seeds: {seeds}")
    assert says in str(refused.value)


def test_there_are_300_seeds_at_most(file: Path) -> None:
    addresses = [f"seed-{number}@seeds.example" for number in range(301)]
    assert len(part(file, f"seeds: {{addresses: [{', '.join(addresses[:300])}]}}").seeds.addresses) == 300  # type: ignore[union-attr]
    with pytest.raises(ChannelsInvalid, match="a list of 1 to 300"):
        part(file, f"seeds: {{addresses: [{', '.join(addresses)}]}}")
