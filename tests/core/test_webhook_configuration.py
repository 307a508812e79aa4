"""The webhook channel's configuration: secrets that are some, endpoints that are different, and the retry table."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clarion_core.configuration.file import ChannelsInvalid, read
from clarion_core.configuration.webhook import SCHEDULE_S, SigningKey, signing_key
from clarion_core.domain.campaign import RetryPolicy
from clarion_core.domain.medium import Medium

AT = "webhook.providers[0].webhook"
GOOD = "whsec_" + base64.b64encode(bytes(range(24))).decode()


def encoded(prefix: str, size: int) -> str:
    return prefix + base64.b64encode(bytes(size)).decode()


def written(tmp_path: Path, webhook: str, besides: str = "") -> Path:
    path = tmp_path / "channels.yaml"
    path.write_text(f"webhook: {{providers: [{{name: endpoints, webhook: {{{webhook}}}}}]{besides}}}", "utf-8")
    return path


def problems(tmp_path: Path, webhook: str, environment: dict[str, str] | None = None, besides: str = "") -> list[str]:
    path = written(tmp_path, webhook, besides)
    with pytest.raises(ChannelsInvalid) as refused:
        read(path, environment)
    return [line.removeprefix(f"{path}: ") for line in refused.value.lines]


def test_calls_are_repeated_as_the_specification_has_it_unless_told_otherwise(tmp_path: Path) -> None:
    webhook = read(written(tmp_path, "secrets: [{env: A}]")).webhook
    assert webhook
    policy = webhook.configuration(Medium.WEBHOOK).retry
    assert policy == RetryPolicy(max_attempts=10, schedule_s=(5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400))
    assert sum(SCHEDULE_S) == 75 * 3600 + 35 * 60 + 5
    assert sum(SCHEDULE_S) * 1.1 < policy.max_age_s
    told = read(written(tmp_path, "secrets: [{env: A}]", ", retry: {max_attempts: 3, schedule_s: []}")).webhook
    assert told
    assert told.configuration(Medium.WEBHOOK).retry == RetryPolicy(max_attempts=3)


def test_a_configuration_for_several_customers_says_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "a.secret").write_text(GOOD)
    webhook = read(
        written(
            tmp_path,
            "endpoints: [{url: 'https://Hooks.A.example', secrets: [{env: A}, {file: a.secret}]}, "
            "{url: 'https://b.example/clarion/', secrets: [{env: B}]}], "
            "egress: {ports: [8443], networks: [10.1.0.0/16], origins: ['http://hooks:8080'], proxy: {url: 'http://p:1'}}",
        ),
        {"A": GOOD, "B": encoded("whsk_", 32)},
    ).webhook
    assert webhook
    part = webhook.providers[0].webhook
    assert part
    assert [endpoint.url for endpoint in part.endpoints] == ["https://hooks.a.example/", "https://b.example/clarion/"]
    assert part.egress.origins == ["http://hooks:8080"]
    assert (part.timeout_s, part.max_bytes, part.endpoint_connections) == (15.0, 262_144, 16)


@pytest.mark.parametrize(
    ("webhook", "line"),
    [
        ("", f"{AT}: needs secrets, or endpoints with theirs: no call leaves unsigned"),
        ("secrets: []", f"{AT}: needs secrets, or endpoints with theirs: no call leaves unsigned"),
        ("secrets: [whsec_x]", f"{AT}.secrets[0]: must not stand here itself; say where it is: {{env: NAME}} or "),
        ("secrets: [{env: A}, {env: A}, {env: A}, {env: A}, {env: A}]", f"{AT}.secrets: must be a list of at most 4, "),
        ("endpoints: [{url: 'https://a.example/'}]", f"{AT}.endpoints[0].secrets: is missing; must be a list of at "),
        ("endpoints: [{url: '//a', secrets: [{env: A}]}]", f"{AT}.endpoints[0].url: does not begin with https://"),
        ("endpoints: [{url: 'https://a/?b', secrets: [{env: A}]}]", f"{AT}.endpoints[0].url: must be an address like"),
        (
            "endpoints: [{url: 'https://a.example', secrets: [{env: A}]}, "
            "{url: 'HTTPS://a.example:443/', secrets: [{env: B}]}]",
            f"{AT}.endpoints: names one endpoint twice",
        ),
        ("secrets: [{env: A}], egress: {networks: [10.0.0.1/8]}", f"{AT}.egress.networks: must be a list of networks"),
        ("secrets: [{env: A}], egress: {origins: ['http://a/b']}", f"{AT}.egress.origins: must be a list of addresses"),
        ("secrets: [{env: A}], egress: {ports: [0]}", f"{AT}.egress.ports[0]: must be a list of ports"),
        ("secrets: [{env: A}], egress: {proxy: {url: a}}", f"{AT}.egress.proxy.url: must be an http or https address"),
        ("secrets: [{env: A}], timeout_s: 0", f"{AT}.timeout_s: must be a number from 0.1 to 300"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(tmp_path: Path, webhook: str, line: str) -> None:
    [told] = problems(tmp_path, webhook)
    assert told.startswith(line)


def test_a_pause_that_is_none_is_told_with_its_place(tmp_path: Path) -> None:
    [told] = problems(tmp_path, "secrets: [{env: A}]", besides=", retry: {schedule_s: [5, 0]}")
    words = "a list of pauses in seconds, whole numbers from 1 to 604800; empty: backoff"
    assert told == f"webhook.retry.schedule_s[1]: must be {words}"


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("canary4711", "it begins neither with whsec_ nor with whsk_"),
        ("whpk_canary4711", "it begins neither with whsec_ nor with whsk_"),
        ("whsec_canary 4711!", "it is not base64"),
        (encoded("whsec_", 23), "it has a wrong length"),
        (encoded("whsec_", 65), "it has a wrong length"),
        (encoded("whsk_", 31), "it has a wrong length"),
        (encoded("whsk_", 33), "it has a wrong length"),
        (encoded("whsk_", 64), "its two halves are not of one key"),
    ],
)
def test_a_secret_that_is_none_is_told_and_not_shown(tmp_path: Path, secret: str, words: str) -> None:
    environment = {"A": GOOD, "B": secret}
    told = problems(tmp_path, "secrets: [{env: A}, {env: B}]", environment)
    assert told == [f"{AT}.secrets: can't be signed with: {words}"]
    [told_of_endpoint] = problems(tmp_path, "endpoints: [{url: 'https://a.example', secrets: [{env: B}]}]", environment)
    assert told_of_endpoint == f"{AT}.endpoints[0].secrets: can't be signed with: {words}"


def test_secrets_are_what_the_specification_says() -> None:
    for size in (24, 32, 64):
        assert signing_key(encoded("whsec_", size)) == SigningKey("v1", bytes(size))
    assert signing_key(GOOD.rstrip("=") + "\n").value == bytes(range(24))
    seed = bytes(range(32))
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    alone = signing_key("whsk_" + base64.b64encode(seed).decode())
    with_public_key = signing_key("whsk_" + base64.b64encode(seed + public).decode())
    assert alone == with_public_key == SigningKey("v1a", seed)
    assert GOOD.removeprefix("whsec_")[:8] not in repr(signing_key(GOOD))
