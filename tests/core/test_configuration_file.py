"""The channel configuration's file: what it says, and what is said of one that does not fit."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from clarion_core.configuration.channels import Channels, EmailPart, EmailProvider
from clarion_core.configuration.file import ChannelsInvalid, read
from clarion_core.configuration.smtp import SmtpPart
from clarion_core.domain.campaign import RetryPolicy, Throttle
from clarion_core.domain.channel import ChannelConfiguration, Provider, Routing
from clarion_core.domain.medium import Medium
from clarion_core.environment import allowed
from clarion_core.settings import WorkerSettings
from support.push.notifications import p256_private_key, pem, rsa_private_key

ROOT = Path(__file__).parents[2]
SECRET = "canary4711"
SMTP = "email.providers[0].smtp"
SAYS = "must not stand here itself; say where it is: {env: NAME} or {file: path}"
NEEDS_TLS = "username needs TLS, because host is not on this machine; set security to starttls or tls"
NOT_YAML = "this is not YAML as we read it"
CHANNELS = list(Channels.model_fields)
A_CHANNEL = f"a mapping with {', '.join(CHANNELS[:-1])} or {CHANNELS[-1]}"
LEAST = "email: {providers: [{name: one, smtp: {host: mail.example.com}}]}"

MORE_THAN_SETTINGS = {"password", "token", "per_domain", "dot_timeout_s"}
"""What is told of a server in the file alone, or told otherwise."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "channels.yaml"


def problems(file: Path, text: str, environment: dict[str, str] | None = None) -> list[str]:
    """What is said of a file, without its name."""
    file.write_text(text, "utf-8")
    with pytest.raises(ChannelsInvalid) as refused:
        read(file, environment)
    assert SECRET not in str(refused.value) + repr(refused.value)
    assert all(line.startswith(f"{file}: ") for line in refused.value.lines)
    return [line.removeprefix(f"{file}: ") for line in refused.value.lines]


def parts(kind: Any) -> set[type[BaseModel]]:
    """Every mapping that may stand in a file."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {kind}.union(*(parts(field.annotation) for field in kind.model_fields.values()))
    return set().union(*map(parts, get_args(kind)))


def email_of(file: Path, environment: dict[str, str] | None = None) -> EmailPart:
    email = read(file, environment).email
    assert email
    return email


def server(provider: EmailProvider) -> SmtpPart:
    assert provider.smtp
    return provider.smtp


def smtp(fields: str) -> str:
    return f"email: {{providers: [{{name: one, smtp: {{{fields}}}}}]}}"


def test_the_example_says_what_it_says() -> None:
    found = read(ROOT / "examples" / "channels.yaml", example_secrets())
    email = found.email
    assert email
    assert email.configuration(Medium.EMAIL) == ChannelConfiguration(
        channel="email",
        routing=Routing.ORDER,
        throttle=Throttle(rate_per_s=500, burst=100),
        retry=RetryPolicy(max_attempts=8, initial_backoff_s=30, max_backoff_s=3600, max_age_s=302_400),
        providers=(
            Provider(name="primary", weight=3, throttle=Throttle(rate_per_s=200, burst=50)),
            Provider(name="backup"),
        ),
    )
    primary, backup = (server(provider) for provider in email.providers)
    assert (primary.host, primary.port, primary.security) == ("smtp.relay.example", 587, "starttls")
    assert primary.password
    assert primary.password.read({"RELAY_PASSWORD": SECRET}) == SECRET
    assert (backup.connections, backup.password) == (8, None)
    named = {channel: [each.name for each in getattr(found, channel).providers] for channel in CHANNELS}
    assert named == {
        "email": ["primary", "backup"],
        "sms": ["carrier", "twilio"],
        "push": ["android", "apple", "browsers"],
        "webhook": ["endpoints"],
    }
    kinds = [each.kind for channel in CHANNELS for each in getattr(found, channel).providers]
    assert kinds == ["smtp", "smtp", "smpp", "twilio", "fcm", "apns", "webpush", "webhook"]


def test_every_secret_of_the_example_is_asked_for() -> None:
    path = ROOT / "examples" / "channels.yaml"
    for name in example_secrets():
        with pytest.raises(ChannelsInvalid) as refused:
            read(path, {known: value for known, value in example_secrets().items() if known != name})
        assert "the name of an environment variable that is set" in str(refused.value)


def example_secrets() -> dict[str, str]:
    """What the example refers to."""
    account = {"client_email": "c@example.com", "private_key": pem(rsa_private_key()), "project_id": "shop"}
    webhook = "whsec_" + base64.b64encode(bytes(32)).decode()
    return {
        "RELAY_PASSWORD": SECRET,
        "SMSC_PASSWORD": SECRET,
        "TWILIO_AUTH_TOKEN": SECRET,
        "FIREBASE_KEY": json.dumps(account),
        **dict.fromkeys(("APNS_KEY", "VAPID_PRIVATE_KEY"), pem(p256_private_key())),
        **dict.fromkeys(("WEBHOOK_SECRET", "PARTNER_SECRET", "PARTNER_SECRET_BEFORE"), webhook),
    }


def test_the_readmes_file_fits(file: Path) -> None:
    [text] = re.findall(
        r"^```yaml\n(email:.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    file.write_text(text)
    email = email_of(file, {"RELAY_PASSWORD": SECRET})
    assert [provider.name for provider in email.providers] == ["primary", "backup"]


def test_what_is_left_out_has_a_default(file: Path) -> None:
    file.write_text(LEAST)
    assert email_of(file).configuration(Medium.EMAIL) == ChannelConfiguration(
        channel="email", providers=(Provider(name="one"),), routing=Routing.ORDER, throttle=None, retry=RetryPolicy()
    )


@pytest.mark.parametrize("field", sorted(SmtpPart.model_fields.keys() - MORE_THAN_SETTINGS))
def test_a_server_in_the_file_has_the_rules_and_the_default_of_the_setting(field: str) -> None:
    ours, setting = SmtpPart.model_fields[field], WorkerSettings.model_fields[f"smtp_{field}"]
    if ours.json_schema_extra is None:
        assert allowed(ours) == allowed(setting)
    if not ours.is_required():
        assert ours.default == setting.default
    patterns = [[rule.pattern for rule in each.metadata if hasattr(rule, "pattern")] for each in (ours, setting)]
    assert patterns[0] == patterns[1]


@pytest.mark.parametrize("part", sorted(parts(Channels), key=lambda part: part.__name__))
def test_every_field_has_words_for_what_may_stand_there(part: type[BaseModel]) -> None:
    assert all(allowed(field) for field in part.model_fields.values())


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [f"the file: must be {A_CHANNEL}"]),
        ("- 1", [f"the file: must be {A_CHANNEL}"]),
        ("email:", [f"the file: needs one of {', '.join(CHANNELS)}"]),
        (
            "{email: {}, fax: {}}",
            [
                "email.providers: is missing; must be a list of 1 to 16 providers",
                f"fax: is not known here; known are {', '.join(CHANNELS)}",
            ],
        ),
        ("email: {providers: []}", ["email.providers: must be a list of 1 to 16 providers"]),
        ("email: {providers: [3]}", ["email.providers[0]: must be a mapping with name and what kind it is"]),
        (
            "email: {providers: [{name: one}]}",
            [f"email.providers[0]: needs one of {', '.join(EmailProvider.kinds())}"],
        ),
        (LEAST[:-1] + ", routing: sideways}", ["email.routing: must be order or weight"]),
        (LEAST[:-1] + ", routign: order}", ["email.routign: is not known here; did you mean routing?"]),
        (
            LEAST[:-1] + ", retry: {max_age_s: 599}}",
            ["email.retry.max_age_s: must be a whole number from 600 to 2592000"],
        ),
        (LEAST[:-1] + ", throttle: 3}", ["email.throttle: must be a mapping with rate_per_s and burst"]),
        (
            LEAST[:-1] + ", throttle: {rate_per_s: 1, burst: 0.5}}",
            ["email.throttle.burst: must be a whole number from 1 to 1000000"],
        ),
        (
            LEAST.replace("one", "One"),
            ["email.providers[0].name: must be a lower-case letter, then up to 31 letters, digits and hyphens"],
        ),
        (smtp("host: a, port: 70000"), [f"{SMTP}.port: must be a whole number from 1 to 65535"]),
        (smtp("host: a, port: '25'"), [f"{SMTP}.port: must be a whole number from 1 to 65535"]),
        (smtp("host: a, connections: true"), [f"{SMTP}.connections: must be a whole number from 1 to 1000"]),
        (smtp("host: a, security: off"), [f"{SMTP}.security: must be none, starttls or tls"]),
        (smtp(f"host: a, password: {SECRET}"), [f"{SMTP}.password: {SAYS}"]),
        (
            smtp(f"host: localhost, username: {SECRET}"),
            [f"{SMTP}: username and password go together"],
        ),
        (smtp(f"host: a, username: {SECRET}, password: {{env: A}}"), [f"{SMTP}: {NEEDS_TLS}"]),
        (
            smtp("host: a, password: {env: A, file: a}"),
            [f"{SMTP}.password: needs one of env and file, which say where it is"],
        ),
        (
            f"email: {{providers: [{LEAST[20:-2]}, {LEAST[20:-2]}]}}",
            ["email.providers: two are called one; each needs a name of its own"],
        ),
        ("email: {}\nemail: {}", [f"line 1, column 1: {NOT_YAML}: email stands here twice"]),
        ("email: [", [f"line 1, column 9: {NOT_YAML}: expected the node content, but found '<stream end>'"]),
        ("email: {5: 5}", [f"line 1, column 8: {NOT_YAML}: a key is no text"]),
        ("email: \x00", ["this is not YAML"]),
    ],
)
def test_each_problem_is_a_line_with_its_path(file: Path, text: str, lines: list[str]) -> None:
    assert problems(file, text) == lines


def test_all_problems_are_told_at_once(file: Path) -> None:
    text = "email: {routing: up, providers: [{name: A, smtp: {}}, {name: two, weight: 0, smtp: {host: ''}}]}"
    assert [line.partition(":")[0] for line in problems(file, text)] == [
        "email.routing",
        "email.providers[0].name",
        "email.providers[0].smtp.host",
        "email.providers[1].weight",
        "email.providers[1].smtp.host",
    ]


def test_what_the_file_refers_to_is_looked_for_where_it_is_used_and_nowhere_else(file: Path) -> None:
    (file.parent / "empty").touch()
    text = (
        "email: {providers: ["
        "{name: one, smtp: {host: a, security: tls, ca_file: missing.pem}},"
        "{name: two, smtp: {host: localhost, username: ana, password: {env: NO_SUCH}}},"
        "{name: three, smtp: {host: localhost, username: ana, password: {file: empty}}}]}"
    )
    assert problems(file, text, {}) == [
        "email.providers[0].smtp.ca_file: must be the path of a readable PEM file of certificates",
        "email.providers[1].smtp.password.env: must be the name of an environment variable that is set",
        "email.providers[2].smtp.password.file: must be the path of a readable file that holds it",
    ]
    assert len(email_of(file).providers) == 3


def test_a_password_is_in_a_file_beside_this_one(file: Path) -> None:
    (file.parent / "secret").write_text(f"{SECRET}\n")
    file.write_text(smtp("host: localhost, username: ana, password: {file: secret}"))
    [provider] = email_of(file, {}).providers
    password = server(provider).password
    assert password
    assert password.file == file.parent / "secret"
    assert password.read({}) == SECRET


def test_a_file_that_is_not_there_is_said_to_be_unreadable(file: Path) -> None:
    with pytest.raises(ChannelsInvalid, match="can't be read: No such file or directory"):
        read(file)
