"""`clarion suppressions` and `clarion allow-list` against a real server, as people and scripts meet them."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clarion.v1.suppression_pb2 import AllowList, EntryVerdict
from clarion.v1.suppression_service_pb2 import (
    AddSuppressionsRequest,
    AddSuppressionsResponse,
    GetAllowListResponse,
    SetAllowListActiveResponse,
)
from clarion_core.store.store import Store
from clarion_stack.redis import RedisServer
from clients.conftest import Cli
from clients.scripted_server import Script, Silence
from clients.test_terminal import start
from support.clarion import Clarion

ADA = "ada@example.com"


@pytest.fixture
async def server(store: Store, redis_server: RedisServer) -> AsyncIterator[Clarion]:
    async with Clarion(redis_server.url) as running:
        yield running


@pytest.fixture
def real(server: Clarion, cli: Cli) -> Cli:
    """The command line, connected to the real server."""

    async def run(*arguments: str | Path) -> object:
        return await cli(*arguments, CLARION_SERVER=server.target)

    return run  # type: ignore[return-value]  # what `cli` answers


async def test_addresses_and_domains_are_added_listed_checked_and_removed(real: Cli) -> None:
    because = ("--reason", "complaint", "--comment", "by phone")
    added = await real("suppressions", "add", "Ada@Example.com", "@example.org", *because)
    assert added.code == 0
    assert added.out.splitlines() == ["Ada@Example.com: added", "@example.org: added"]
    listed = await real("suppressions", "list")
    heading, *rows = listed.out.splitlines()
    assert heading.split() == ["VALUE", "REASON", "SOURCE", "SINCE", "UNTIL", "COMMENT"]
    assert sorted(row.split()[:3] for row in rows) == [["@example.org", "complaint", "cli"], [ADA, "complaint", "cli"]]
    checked = await real("suppressions", "check", ADA, "bob@example.org", "eve@example.com", "-o", "json")
    assert checked.code == 1
    assert [(each["may_receive"], each["reason"], each["ajo_code"]) for each in checked.json] == [
        (False, "REASON_ADDRESS_SUPPRESSED", "050102"),
        (False, "REASON_DOMAIN_SUPPRESSED", "050105"),
        (True, "REASON_UNSPECIFIED", ""),
    ]
    assert (await real("suppressions", "check", ADA, "--pass-over-complaints")).code == 0
    removed = await real("suppressions", "remove", ADA, "eve@example.com")
    assert removed.out.splitlines() == [f"{ADA}: removed", "eve@example.com: not listed"]
    assert (await real("suppressions", "list", "--prefix", "ada")).err == "no suppressions\n"


async def test_what_cannot_be_right_is_refused_in_words(real: Cli) -> None:
    some = await real("suppressions", "add", "ada", ADA)
    assert some.code == 1
    assert some.out.splitlines()[0].startswith("ada: refused: is not an e-mail address")
    every = await real("suppressions", "add", "0151", "--channel", "sms", "-o", "json")
    assert (every.code, every.json[0]["result"]) == (4, "refused")
    for wrong in (("--channel", "letter"), ("--reason", "boredom"), ("--source", "a b"), ("--expires", "soon")):
        ended = await real("suppressions", "add", ADA, *wrong)
        assert ended.code == 2, wrong
    assert "is not one of email, sms, push, webhook" in (await real("suppressions", "list", "--channel", "x")).err


async def test_an_entry_can_have_an_end(real: Cli) -> None:
    await real("suppressions", "add", ADA, "--expires", "30d")
    (entry,) = (await real("suppressions", "list", "-o", "json")).json
    assert entry["expire_time"] > entry["create_time"]
    past = await real("suppressions", "add", ADA, "--expires", "2020-01-01T00:00:00Z")
    assert (past.code, past.out) == (4, f"{ADA}: refused: must be in the future\n")


async def test_an_allow_list_is_filled_activated_and_let_go(real: Cli) -> None:
    empty = await real("allow-list", "activate")
    assert empty.code == 0
    assert "active and empty: nothing is sent" in empty.out
    assert (await real("suppressions", "check", ADA)).code == 1
    assert (await real("allow-list", "add", "@example.com", "--comment", "ours")).out == "@example.com: added\n"
    assert (await real("suppressions", "check", ADA)).code == 0
    assert (await real("allow-list", "show", "-o", "json")).json == {"channel": "email", "active": True, "entries": "1"}
    assert (await real("allow-list", "list")).out.splitlines()[1].split()[:2] == ["@example.com", "cli"]
    assert (await real("allow-list", "remove", "@example.com")).out == "@example.com: removed\n"
    assert "not active" in (await real("allow-list", "deactivate")).out
    assert (await real("suppressions", "check", ADA)).code == 0


OURS = """\
value,channel,type,reason,comment,expire_time
Ada@Example.com,email,address,hard_bounce,"said ""gone"", twice",
example.org,,domain,,,2999-01-01T00:00:00Z
@*.example.net,email,,unsubscribed,,
+49 151 12345678,sms,,,,

https://example.com/hook,webhook,address,endpoint-gone,,
"""
EXPORTED = [
    "channel,type,value,reason,comment,source,expire_time",
    'email,address,ada@example.com,hard_bounce,"said ""gone"", twice",crm,',
    "email,domain,*.example.net,unsubscribed,,crm,",
    "email,domain,example.org,import,,crm,2999-01-01T00:00:00Z",
    "sms,address,+4915112345678,import,,crm,",
    "webhook,address,https://example.com/hook,endpoint_gone,,crm,",
]


async def test_what_is_imported_is_exported_and_imported_again(real: Cli, tmp_path: Path) -> None:
    file, copy = tmp_path / "in.csv", tmp_path / "out.csv"
    file.write_text(OURS)
    dry = await real("suppressions", "import", file, "--dry-run")
    assert (dry.code, dry.out) == (0, f"{file}: 5 valid; nothing is changed\n")
    assert (await real("suppressions", "export")).out.splitlines() == EXPORTED[:1]
    done = await real("suppressions", "import", file, "--source", "crm")
    assert (done.code, done.out) == (0, f"{file}: 5 added\n")
    ended = await real("suppressions", "export", "--to", copy)
    assert (ended.out, ended.err) == ("", f"5 entries exported to {copy}\n")
    heading, *rows = copy.read_text().splitlines()
    assert [heading, *sorted(rows)] == EXPORTED
    again = await real("suppressions", "import", copy)
    assert (again.code, again.out) == (0, f"{copy}: 5 kept\n")
    some = await real("suppressions", "export", "--channel", "sms")
    assert some.out.splitlines() == [EXPORTED[0], EXPORTED[4]]


async def test_files_of_adobe_journey_optimizer_are_read_as_they_are(real: Cli, tmp_path: Path) -> None:
    file = tmp_path / "ajo.csv"
    rows = ["\ufeffTYPE,VALUE,COMMENT", "EMAIL,abc@mycompany.example,asked", "DOMAIN,evil.example,", ""]
    file.write_bytes("\r\n".join(rows).encode())
    done = await real("suppressions", "import", file, "-o", "json")
    assert done.code == 0
    assert (done.json["lines"], done.json["added"], done.json["problems"]) == (2, 2, [])
    assert (await real("suppressions", "check", "any@evil.example")).code == 1


async def test_every_problem_of_a_file_is_told_with_its_line(real: Cli, tmp_path: Path) -> None:
    file = tmp_path / "wrong.csv"
    file.write_text(
        "channel,type,value,reason,comment,source,expire_time\n"
        "email,,ada,,,,\n"
        "letter,,x,,,,\n"
        f"email,,{ADA},,,,\n"
        "email,person,x@example.com,,,,\n"
        "email,,,manual,,,\n"
        "email,,x@example.com,boredom,,,\n"
        f"email,,x@example.com,,{'x' * 201},,\n"
        "email,,x@example.com,,,two words,\n"
        "email,,x@example.com,,,,tomorrow\n"
        "email,,x@example.com,,,,2020-01-01T00:00:00Z\n"
        "sms,domain,example.com,,,,\n"
        "email,,x@example.com,,,,,,\n"
        f"email,domain,{'x' * 254},,,,\n"
        f"push,,{'x' * 2049},,,,\n"
    )
    done = await real("suppressions", "import", file)
    assert done.code == 1
    assert done.out == f"{file}: 1 added, 13 refused\n"
    problems = [line.removeprefix(f"{file}:") for line in done.err.splitlines() if line.startswith(f"{file}:")]
    assert [problem.partition(": ")[0] for problem in problems] == [str(n) for n in range(2, 16) if n != 4]
    assert problems[0].startswith("2: address: is not an e-mail address")
    assert problems[7:9] == [
        "10: expire_time: an instant is written with its time zone, like 2026-11-24T08:00:00Z or "
        "2026-11-24T09:00:00+01:00",
        "11: expire_time: must be in the future",
    ]
    only_wrong = tmp_path / "only-wrong.csv"
    only_wrong.write_text("value\nada\n")
    assert (await real("suppressions", "import", only_wrong, "--dry-run")).code == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("address\nx\n", "'address' is no column"),
        ("channel\nemail\n", "a column `value` is missing"),
        ("value,value\na,b\n", "one is there twice"),
        ("", "a column `value` is missing"),
        ('value\n"' + "x" * 200_000 + '"\n', "not CSV: field larger than field limit"),
    ],
)
async def test_a_file_that_is_none_is_not_begun(real: Cli, tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "none.csv"
    file.write_text(text)
    done = await real("suppressions", "import", file)
    assert done.code == 4
    assert said in done.err
    assert (await real("suppressions", "list")).err == "no suppressions\n"


async def test_a_file_that_cannot_be_read_or_written_is_told(real: Cli, tmp_path: Path) -> None:
    assert (await real("suppressions", "import", tmp_path / "away.csv")).code == 4
    assert (await real("allow-list", "export", "--to", tmp_path)).code == 4
    latin = tmp_path / "latin.csv"
    latin.write_bytes(b"value\n\xe4@example.com\n")
    assert "not UTF-8 text" in (await real("suppressions", "import", latin)).err


async def test_thousands_of_lines_are_counted_as_they_go(real: Cli, tmp_path: Path) -> None:
    file = tmp_path / "many.csv"
    file.write_text("value\n" + "".join(f"user-{n}@example.com\n" for n in range(4_500)))
    done = await real("allow-list", "import", file)
    assert (done.code, done.out) == (0, f"{file}: 4,500 added\n")
    assert done.err.splitlines()[-1] == "4,500 of 4,500 lines imported; refused: 0"
    assert (await real("allow-list", "show", "-o", "json")).json["entries"] == "4500"
    assert len((await real("allow-list", "export")).out.splitlines()) == 4_501


async def test_an_import_that_is_interrupted_says_how_far_it_got_and_how_to_go_on(
    script: Script, cli_environment: dict[str, str], tmp_path: Path
) -> None:
    def answer(request: AddSuppressionsRequest) -> AddSuppressionsResponse | Silence:
        if request.suppressions[0].target.address.startswith("user-0@"):
            added = EntryVerdict(result=EntryVerdict.RESULT_ADDED)
            return AddSuppressionsResponse(verdicts=[added] * len(request.suppressions))
        return Silence()

    script.on("AddSuppressions", answer)
    file = tmp_path / "many.csv"
    file.write_text("value\n" + "".join(f"user-{n}@example.com\n" for n in range(2_000)))
    terminal = await start(cli_environment, "suppressions", "import", file)
    await script.called("AddSuppressions", 2)
    await terminal.until(lambda screen: "1000/2000" in screen)
    terminal.process.send_signal(signal.SIGINT)
    assert await terminal.ended() == 130
    assert "1,000 of 2,000 lines were imported before this" in terminal.screen
    assert "run the same command to go on: what is on the list already is kept" in " ".join(terminal.screen.split())


@pytest.mark.parametrize(("answer", "asked_for"), [("y\n", 1), ("\n", 0)])
async def test_a_person_is_asked_before_an_empty_list_stops_everything(
    script: Script, cli_environment: dict[str, str], answer: str, asked_for: int
) -> None:
    script.on("GetAllowList", GetAllowListResponse(allow_list=AllowList(channel="email")))
    active = AllowList(channel="email", active=True)
    script.on("SetAllowListActive", SetAllowListActiveResponse(allow_list=active))
    terminal = await start(cli_environment, "allow-list", "activate")
    await terminal.until(lambda screen: "send nothing at all on email? [y/N]" in screen)
    terminal.type(answer)
    assert await terminal.ended() == 0
    assert len(script.requests("SetAllowListActive")) == asked_for
    assert ("nothing is changed" in terminal.screen) == (not asked_for)
