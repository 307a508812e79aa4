"""The SMS channel's configuration: what it says, and what is said of one that does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from clarion_core.configuration.channels import SmsPart
from clarion_core.configuration.file import ChannelsInvalid, read
from clarion_core.domain.keywords import Keyword, keyword_of
from clarion_core.domain.medium import Medium
from clarion_core.domain.sender import ALLOWED, Senders

SMPP = "smpp: {host: localhost, system_id: clarion}"
SECRET = "canary4711"
NO_COUNTRY = "which is no country; write its two letters, like DE"


def read_sms(file: Path, text: str, environment: dict[str, str] | None = None) -> SmsPart:
    file.write_text(f"sms: {{{text}}}", "utf-8")
    sms = read(file, environment).sms
    assert sms
    return sms


def provided(text: str = "", smpp: str = SMPP) -> str:
    return f"providers: [{{name: one, {smpp}}}]{', ' if text else ''}{text}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "channels.yaml"


def test_what_is_left_out_has_a_default(file: Path) -> None:
    sms = read_sms(file, provided())
    [provider] = sms.providers
    smpp = provider.smpp
    assert smpp
    assert provider.medium is Medium.SMS
    assert (smpp.port, smpp.binds, smpp.window, smpp.default_alphabet, smpp.receipts) == (2775, 1, 10, "gsm", True)
    assert sms.by_country() == Senders()
    assert sms.workspaces == ["default"]
    assert keyword_of("stop", sms.keywords.keywords()) is Keyword.STOP
    assert sms.configuration(Medium.SMS).channel == "sms"


def test_senders_and_keywords_are_as_told(file: Path) -> None:
    sms = read_sms(
        file,
        provided(
            'sender: Clarion, senders: {US: "+12025550123", CH: "4711"}, keywords: {stop: [Stopp], help_text: Ask}'
        ),
    )
    assert [sms.by_country().of(country) for country in ("US", "CH", "DE")] == ["+12025550123", "4711", "Clarion"]
    known = sms.keywords.keywords()
    assert [keyword_of(text, known) for text in ("STOPP!", "stop", "help")] == [Keyword.STOP, None, Keyword.HELP]
    assert sms.keywords.help_text == "Ask"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (provided("sender: TwelveLetter"), f"sms.sender: must be {ALLOWED}, or nothing"),
        (
            provided("senders: {XX: Clarion}"),
            f"sms.senders: has XX, {NO_COUNTRY}",
        ),
        (
            provided("senders: {de: Clarion}"),
            f"sms.senders: has de, {NO_COUNTRY}",
        ),
        (provided("senders: {DE: ''}"), f"sms.senders: DE must be {ALLOWED}"),
        (provided("senders: {DE: 4711}"), "sms.senders.DE: must be a mapping of countries, like DE, to senders"),
        (provided("keywords: {stop: ['!']}"), "sms.keywords.stop: holds one that is no word"),
        (provided("keywords: {stopp: [x]}"), "sms.keywords.stopp: is not known here; did you mean stop?"),
        (provided("workspaces: []"), "sms.workspaces: must be a list of 1 to 100 workspaces"),
        ("providers: [{name: one}]", "sms.providers[0]: needs one of"),
        (
            provided(smpp="smpp: {host: smsc.example, system_id: clarion}"),
            "sms.providers[0].smpp: needs security: tls, or none where something else protects the way to host, "
            "which is clear text",
        ),
        (
            provided(smpp=f"smpp: {{host: localhost, system_id: {SECRET}-too-long}}"),
            "sms.providers[0].smpp.system_id: must be 1 to 15 characters of ASCII",
        ),
        (
            provided(smpp=f"smpp: {{host: localhost, system_id: a, password: {SECRET}}}"),
            "sms.providers[0].smpp.password: must not stand here itself; say where it is: {env: NAME} or {file: path}",
        ),
        (
            provided(smpp="smpp: {host: localhost, system_id: a, window: 0}"),
            "sms.providers[0].smpp.window: must be a whole number from 1 to 1000",
        ),
        (
            provided(smpp="smpp: {host: localhost, system_id: a, default_alphabet: utf8}"),
            "sms.providers[0].smpp.default_alphabet: must be gsm or latin1",
        ),
    ],
)
def test_each_problem_is_a_line_with_its_path(file: Path, text: str, line: str) -> None:
    with pytest.raises(ChannelsInvalid) as refused:
        read_sms(file, text, {})
    [problem] = refused.value.lines
    assert problem.startswith(f"{file}: {line}")
    assert SECRET not in problem


def test_a_file_of_certificates_is_looked_for(file: Path) -> None:
    text = provided(smpp="smpp: {host: localhost, system_id: a, security: tls, ca_file: missing.pem}")
    with pytest.raises(ChannelsInvalid, match="readable PEM file"):
        read_sms(file, text, {})
    assert read_sms(file, text)
