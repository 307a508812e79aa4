"""What the programs of the local stack are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from clarion_stack.local import for_demo, for_use


def test_the_demo_catches_its_mail_whatever_the_settings_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLARION_CHANNELS", "channels.yaml")
    monkeypatch.setenv("CLARION_SMTP_HOST", "mail.example.com")
    demo = for_demo(tmp_path)
    told = demo.environment()
    assert "CLARION_CHANNELS" not in told
    assert (told["CLARION_SMTP_HOST"], told["CLARION_SMTP_PORT"]) == ("127.0.0.1", str(demo.smtp_port))


@pytest.mark.parametrize("setting", ["CLARION_CHANNELS", "CLARION_SMTP_HOST"])
def test_where_the_settings_name_a_provider_no_mail_is_caught(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, setting: str
) -> None:
    monkeypatch.setenv(setting, "somewhere")
    up = for_use(tmp_path, workers=1)
    assert up.smtp_port is None
    assert up.environment()[setting] == "somewhere"
