from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from clarion_core.environment import OTHER_NAMES, complaints, unknown, variable
from clarion_core.settings import CoreSettings, EdgeSettings, ServerSettings, WorkerSettings

ROOT = Path(__file__).parents[2]
SECRET = "canary4711"
FIELDS = sorted(
    ServerSettings.model_fields.keys() | WorkerSettings.model_fields.keys() | EdgeSettings.model_fields.keys()
)


def wrong(cls: type[CoreSettings], **values: Any) -> ValidationError:
    with pytest.raises(ValidationError) as refused:
        cls(**values)
    return refused.value


def test_no_password_is_shown() -> None:
    settings = WorkerSettings(
        redis_url=f"redis://ana:{SECRET}@store.internal:6380/2?password={SECRET}", smtp_password=SECRET
    )
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)
    assert settings.store_address == "redis://store.internal:6380/2"


def test_the_store_is_named_by_its_path_where_it_has_no_host() -> None:
    assert CoreSettings(redis_url=f"unix://:{SECRET}@/run/redis.sock?db=1").store_address == "unix:///run/redis.sock"


@pytest.mark.parametrize(
    "url",
    [
        f"http://:{SECRET}@store",
        f"redis://:{SECRET}/half@store",
        f"redis://:{SECRET}#half@store:6379",
        f"redis://me:123#{SECRET}@store:6379",
        f"redis://me:77?{SECRET}@store",
        "redis://store/database",
        f"redis://:{SECRET}@store:port",
        f"unix://:{SECRET}@",
    ],
)
def test_a_wrong_url_is_refused_and_its_password_not_shown(url: str) -> None:
    error = wrong(CoreSettings, redis_url=url)
    [line] = complaints(CoreSettings, error)
    assert line.startswith("CLARION_REDIS_URL: must be redis://HOST:PORT/DB, ")
    assert SECRET not in line + str(error) + repr(error)


@pytest.mark.parametrize(
    ("field", "value", "line"),
    [
        ("listen", "nowhere", "CLARION_LISTEN: must be HOST:PORT, the port from 0 to 65535"),
        ("listen", "localhost:65536", "CLARION_LISTEN: must be HOST:PORT, the port from 0 to 65535"),
        ("reflection", "maybe", "CLARION_REFLECTION: must be true or false"),
        ("log_level", "loud", "CLARION_LOG_LEVEL: must be debug, info, warning or error"),
        ("shards", "none", "CLARION_SHARDS: must be a whole number from 1 to 64"),
        ("shards", 65, "CLARION_SHARDS: must be a whole number from 1 to 64"),
        ("drain_s", "soon", "CLARION_DRAIN_S: must be a number from 0 to 600"),
    ],
)
def test_a_complaint_says_what_may_stand_there(field: str, value: object, line: str) -> None:
    assert complaints(ServerSettings, wrong(ServerSettings, **{field: value})) == [line]


def test_a_ca_file_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    for path in (empty, tmp_path / "missing.pem"):
        [line] = complaints(WorkerSettings, wrong(WorkerSettings, smtp_ca_file=path))
        assert line == "CLARION_SMTP_CA_FILE: must be a readable PEM file of certificates"


def test_credentials_in_the_clear_stay_on_this_machine() -> None:
    far = {"smtp_host": "mail.example.com", "smtp_username": "ana", "smtp_password": SECRET}
    error = wrong(WorkerSettings, **far)
    [line] = complaints(WorkerSettings, error)
    assert line.startswith("CLARION_SMTP_USERNAME: needs TLS")
    assert "CLARION_SMTP_SECURITY to starttls or tls" in line
    assert SECRET not in line + str(error)
    assert WorkerSettings(**far, smtp_security="starttls").smtp_username == "ana"
    for near in ("127.0.0.1", "localhost", "::1", "[::1]"):
        assert WorkerSettings(**(far | {"smtp_host": near})).smtp_host == near


def test_a_misspelt_name_is_known_by_the_one_it_is_close_to() -> None:
    read = {variable(field): "1" for field in FIELDS} | dict.fromkeys(OTHER_NAMES, "1")
    harmless = {"CLARION_TEST_REDIS_SERVER": "", "CLARION_SECRET_RELAY": "x", "clarion_window": "2", "PATH": "/bin"}
    strange = {"CLARION_WNDOW": "3", "CLARION_SMTP_PASWORD": "x", "CLARION_UNHEARD_OF": "y"}
    assert unknown(read | harmless | strange) == {
        "CLARION_WNDOW": "CLARION_WINDOW",
        "CLARION_SMTP_PASWORD": "CLARION_SMTP_PASSWORD",
        "CLARION_UNHEARD_OF": "",
    }


def test_every_name_that_a_program_reads_is_known_and_no_other_is() -> None:
    folders = ("clients", "server", "workers", "stack")
    sources = [
        file for folder in folders for file in (ROOT / folder).rglob("*") if file.suffix in {".py", ".mjs", ".sh"}
    ]
    used = set(re.findall(r"\bCLARION_[A-Z_]*[A-Z]\b", "\n".join(file.read_text(encoding="utf-8") for file in sources)))
    assert unknown(dict.fromkeys(used, "")) == {}
    assert used >= OTHER_NAMES


@pytest.mark.parametrize("field", FIELDS)
def test_every_setting_has_its_words(field: str) -> None:
    [cls] = [each for each in (ServerSettings, WorkerSettings, EdgeSettings) if field in each.model_fields][:1]
    assert str(cls.model_fields[field].description).endswith(".")
