"""The README is true: its commands run, in order, in a clean clone with an empty environment.

The convention it follows is told in support/readme.py. Commands are never listed here: whatever the README says is
run, but for `make test`.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from clarion_core.environment import variable
from clarion_core.settings import CoreSettings, EdgeSettings, ServerSettings, WorkerSettings
from support.clarion import Clarion
from support.grpcurl import translated
from support.readme import Terminal, commands, follow
from support.smtp_sink import SmtpSink

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text("utf-8")

SAMPLE = """\
# A sample

```console
$ export GREETING=hello
$ make test
```

Prose, and code of another kind:

```sh
$ exit 1
```

```console
$ make up
```

```console
$ cat up.log
whatever it prints
$ echo '{"greeting":
  "'$GREETING'"}'
$ echo one \\
> two
$ command -v grpcurl
$ env
```
"""

MAKEFILE = """\
.RECIPEPREFIX = >
test:
> false
up:
> @echo up > up.log; trap 'echo drained >> up.log; exit 0' INT; echo "It is up. Ctrl-C drains it."; \\
>   while :; do sleep 0.01; done
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the sample in it, committed."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "README.md").write_text(SAMPLE)
    (folder / "Makefile").write_text(MAKEFILE)
    git = ["git", "-C", str(folder), "-c", "user.name=Ana", "-c", "user.email=ana@example.com"]
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "Sample"]):
        subprocess.run([*git, *arguments], check=True)
    return folder


def test_commands_are_the_prompted_lines_of_console_blocks_with_what_belongs_to_them() -> None:
    assert commands(SAMPLE) == [
        "export GREETING=hello",
        "make test",
        "make up",
        "cat up.log",
        "echo '{\"greeting\":\n  \"'$GREETING'\"}'",
        "echo one \\\ntwo",
        "command -v grpcurl",
        "env",
    ]


def test_a_readme_is_followed_in_one_shell_with_an_empty_environment(repository: Path, tmp_path: Path) -> None:
    printed = follow(repository, "README.md", tmp_path)
    assert "make test" not in printed
    assert printed["cat up.log"] == "up\n"
    assert printed["echo '{\"greeting\":\n  \"'$GREETING'\"}'"] == '{"greeting":\n  "hello"}\n'
    assert printed["echo one \\\ntwo"] == "one two\n"
    assert printed["command -v grpcurl"] == f"{tmp_path}/bin/grpcurl\n"
    names = {line.partition("=")[0] for line in printed["env"].splitlines()}
    assert names <= {"HOME", "PATH", "GREETING", "PWD", "OLDPWD", "SHLVL", "_"}
    assert (tmp_path / "clone" / "up.log").read_text() == "up\ndrained\n"


def test_a_command_that_fails_fails_the_test_and_says_what_it_printed(tmp_path: Path) -> None:
    with Terminal(tmp_path, os.environ) as terminal, pytest.raises(AssertionError, match="no such order"):
        terminal.run("echo no such order; false")


def test_grpcurl_becomes_buf_curl() -> None:
    common = ["curl", "--http2-prior-knowledge", "--protocol", "grpc"]
    call = ["-plaintext", "-d", '{"name": "campaigns/a"}', "localhost:7171", "clarion.v1.CampaignService/GetCampaign"]
    url = "http://localhost:7171/clarion.v1.CampaignService/GetCampaign"
    assert translated(call) == [*common, "--data", '{"name": "campaigns/a"}', url]
    assert translated(["-plaintext", "localhost:7171", "list"]) == [*common, "--list-methods", "http://localhost:7171"]


@pytest.mark.parametrize("settings", [ServerSettings, WorkerSettings, EdgeSettings])
def test_the_table_of_settings_has_every_setting_with_its_default_and_range(settings: type[CoreSettings]) -> None:
    rows = [line.split("|")[1:-1] for line in README.splitlines() if line.startswith("| `CLARION_")]
    table = {row[0].strip(" `"): [cell.strip() for cell in row[1:]] for row in rows}
    for name, field in settings.model_fields.items():
        default, span, _ = table[variable(name)]
        bounds = {key: getattr(rule, key) for rule in field.metadata for key in ("ge", "le") if hasattr(rule, key)}
        assert span == (f"{bounds['ge']} to {bounds['le']}" if bounds else "")
        assert _shown(field.default) in (re.findall("`(.*?)`", default) or [""])


def _shown(default: object) -> str:
    match default:
        case None | SecretStr():
            return ""
        case bool():
            return str(default).lower()
        case float():
            return f"{default:g}"
    return str(default)


async def test_the_python_of_the_readme_runs_as_it_stands(clarion: Clarion) -> None:
    [program] = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    async with SmtpSink() as sink:
        await clarion.work(sink.port)
        environment = {**os.environ, "CLARION_SERVER": clarion.target}
        apply = ("-m", "clarion_client", "apply", "--activate", "examples/campaigns/order-confirmation")
        for arguments in (apply, ("-c", program)):
            process = await asyncio.create_subprocess_exec(
                sys.executable, *arguments, cwd=REPOSITORY, env=environment, stdout=asyncio.subprocess.PIPE
            )
            printed, _ = await process.communicate()
            assert process.returncode == 0
    assert b"state: STATE_COMPLETED" in printed
    assert [message.rcpt_to for message in sink.messages] == [["ana@example.com"]]


@pytest.mark.readme
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("usual_ports")
def test_every_command_of_the_readme_works_in_a_clean_clone(tmp_path: Path) -> None:
    printed = follow(REPOSITORY, "README.md", tmp_path)
    assert {"make demo", "make up"} <= printed.keys()
    assert any(command.startswith("grpcurl") for command in printed)
