"""What the programs of the local stack are told."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from clarion_core.configuration.file import read, read_as
from clarion_edge.configuration import Receipts
from clarion_stack.local import LOOPBACK, for_demo, for_use, free_port


def test_the_demo_catches_its_mail_whatever_the_settings_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLARION_CHANNELS", "channels.yaml")
    monkeypatch.setenv("CLARION_SMTP_HOST", "mail.example.com")
    monkeypatch.setenv("CLARION_RECEIPTS", "receipts.yaml")
    demo = for_demo(tmp_path, "ana@example.com")
    told = demo.environment()
    with demo.claimed():
        [provider] = read(Path(told["CLARION_CHANNELS"]), {}).email.providers  # type: ignore[union-attr]
        receipts = read_as(Receipts, Path(told["CLARION_RECEIPTS"]), {})
    assert provider.smtp
    assert (provider.smtp.host, provider.smtp.port) == ("127.0.0.1", demo.smtp_port)
    assert receipts.mail
    assert not [name for name in told if name.startswith("CLARION_SMTP_")]


@pytest.mark.parametrize("setting", ["CLARION_CHANNELS", "CLARION_SMTP_HOST"])
def test_where_the_settings_name_a_provider_no_mail_is_caught(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, setting: str
) -> None:
    monkeypatch.setenv(setting, "somewhere")
    up = for_use(tmp_path, workers=1)
    assert up.smtp_port is None
    assert up.environment()[setting] == "somewhere"


def test_who_may_tell_of_receipts_is_the_users_word_where_they_say_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CLARION_RECEIPTS", "theirs.yaml")
    up = for_use(tmp_path, workers=1)
    assert up.returning is None
    told = up.environment()
    assert told["CLARION_RECEIPTS"] == "theirs.yaml"
    assert (told["CLARION_SMTP_HOST"], told["CLARION_SMTP_PORT"]) == ("127.0.0.1", str(up.smtp_port))


def test_the_secret_of_bounce_addresses_is_kept_and_nobody_elses(tmp_path: Path) -> None:
    kept = []
    for _ in range(2):
        with for_use(tmp_path, workers=1).claimed():
            kept.append((tmp_path / "bounces.secret").read_text())
    assert kept[0] == kept[1]
    assert (tmp_path / "bounces.secret").stat().st_mode & 0o077 == 0


def test_a_free_port_is_kept_for_whoever_names_it() -> None:
    port = free_port()
    with socket.socket() as anybody, pytest.raises(OSError, match="in use"):
        anybody.bind((LOOPBACK, port))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, port))
    with socket.create_server((LOOPBACK, port)) as named:
        assert named.getsockname()[1] == port
