"""The renderer through its real children: what hostile templates, signals and crashes do to a batch."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest
import uvloop

from clarion_core.content import process
from clarion_core.content.renderer import Renderer
from clarion_core.content.types import TEXT, Rendered, RenderedTexts, RenderFailure
from clarion_core.content.wire import Limits
from clarion_core.domain.medium import Channel
from support import example_orders
from support.hostile import HOSTILE
from support.records import until
from support.render_children import children_of, cpu_s, environment_of, files_of, runs
from support.templates import check, definition, in_transit, mail, render, request, revision

Make = Callable[..., Renderer]
GUILTY = "{% if profile.guilty %}"
SPINS = GUILTY + "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}{% endif %}"
SPINS_IN_C = GUILTY + "{{ 9 ** (9 ** 9) }}{% endif %}"


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[Renderer] = []

    def make(**limits: Any) -> Renderer:
        made.append(Renderer(Limits(**({"render_s": 0.25, "compile_s": 2.0, "memory_mib": 256} | limits))))
        return made[-1]

    yield make
    for renderer in made:
        await renderer.close()
    assert not children_of(os.getpid())


async def rendered(renderer: Renderer, text: str, count: int = 3, *guilty: int) -> list[Rendered]:
    """What recipients become of whom some make the template do what it says under GUILTY."""
    requests = [request(user_id=f"u-{n}", profile={"guilty": n in guilty}) for n in range(count)]
    template = text + "ok {{ recipient.user_id }}"
    return await renderer.render(revision(text, text=template), Channel.EMAIL, [in_transit(each) for each in requests])


def ok(count: int) -> list[Rendered]:
    return [mail(text=f"ok u-{n}") for n in range(count)]


def told(results: list[Rendered]) -> dict[int, str]:
    """The failures by recipient."""
    return {n: result.detail for n, result in enumerate(results) if isinstance(result, RenderFailure)}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_template_fails_its_recipient_and_nobody_else(make: Make, name: str) -> None:
    renderer = make(render_s=0.1)
    text = GUILTY + HOSTILE[name] + "{% endif %}"
    results = await rendered(renderer, text, 10, 4)
    [(guilty, detail)] = told(results).items()
    assert guilty == 4
    assert detail.startswith("email.text")
    assert [result for n, result in enumerate(results) if n != guilty] == ok(4) + ok(10)[5:]
    assert await rendered(renderer, text) == ok(3)


async def test_the_orders_become_what_they_become_in_this_process(make: Make) -> None:
    requests = [example_orders.request_of(order) for order in example_orders.valid_orders()]
    mails = await make().render(example_orders.revision(), Channel.EMAIL, [in_transit(each) for each in requests])
    assert mails == render(example_orders.revision(), requests)


def test_it_does_so_on_the_loop_that_workers_run_on() -> None:
    async def run() -> list[Rendered]:
        renderer = Renderer(Limits(render_s=0.1, compile_s=2.0, memory_mib=256))
        try:
            return [*await rendered(renderer, SPINS_IN_C, 60, 7), *await rendered(renderer, "", 120)]
        finally:
            await renderer.close()

    results = uvloop.run(run())
    assert told(results).keys() == {7}
    assert results[60:] == ok(120)
    assert not children_of(os.getpid())


class TestReasons:
    async def test_a_loop_is_told_with_its_line(self, make: Make) -> None:
        results = await rendered(make(render_s=0.1), "\n\n" + SPINS, 2, 1)
        assert told(results) == {1: "email.text, line 3: took longer than 100 ms"}

    async def test_what_no_python_code_runs_in_is_told_with_its_template(self, make: Make) -> None:
        text = GUILTY + "{{ (range(99999) | list * 100) | sort | length }}{% endif %}"
        results = await rendered(make(render_s=0.05), text, 2, 1)
        assert told(results) == {1: "email.text: took longer than 50 ms"}

    async def test_memory_is_told_with_its_line(self, make: Make) -> None:
        text = "\n" + GUILTY + "{{ 'a' * 10**9 }}{% endif %}"
        results = await rendered(make(memory_mib=100), text, 2, 1)
        assert told(results) == {1: "email.text, line 2: needed more than 100 MiB"}

    async def test_a_mail_that_is_too_long_is_told(self, make: Make) -> None:
        results = await rendered(make(), GUILTY + "{{ 'a' * 2097152 }}{% endif %}", 2, 1)
        assert told(results) == {1: "email.text: is longer than 2,097,152 characters"}

    async def test_a_revision_that_can_not_be_compiled_fails_every_recipient(self, make: Make) -> None:
        renderer = make()
        for broken, error in (
            (revision("a", text="{{ 1 +"), "TemplateSyntaxError"),
            (revision("b", email=False), "LookupError"),
        ):
            for _ in range(2):
                results = await renderer.render(broken, Channel.EMAIL, [in_transit(request())] * 2)
                assert results == [RenderFailure(detail=f"can't be compiled: {error}")] * 2

    async def test_a_revision_that_takes_too_long_to_compile_fails_every_recipient(self, make: Make) -> None:
        huge = revision(context=("x",), html="{{ x }}" * 6000)
        results = await make(compile_s=0.02).render(huge, Channel.EMAIL, [in_transit(request())] * 2)
        assert results == [RenderFailure(detail="email.html: took longer than 20 ms to compile")] * 2

    async def test_data_that_do_not_fit_their_declaration_fail_their_recipient(self, make: Make) -> None:
        order = example_orders.valid_orders()[0]
        wrong = example_orders.request_of({**order, "context": {**order["context"], "placed_at": "soon"}})
        results = await make().render(
            example_orders.revision(),
            Channel.EMAIL,
            [in_transit(each) for each in (wrong, example_orders.request_of(order))],
        )
        assert told(results) == {0: "the message: ValueError"}


class TestOthers:
    async def test_several_guilty_ones_in_several_batches_fail_alone(self, make: Make) -> None:
        results = await rendered(make(render_s=0.1), SPINS, 130, 0, 49, 50, 129)
        assert told(results).keys() == {0, 49, 50, 129}
        assert [result for result in results if isinstance(result, RenderedTexts)] == [
            mail for n, mail in enumerate(ok(130)) if n not in told(results)
        ]

    async def test_what_others_left_in_memory_fails_nobody(self, make: Make) -> None:
        # Formatted dates are kept, and a hostile style is long: after a few dozen recipients nothing is left.
        text = "{{ '2026-11-24T08:00:00Z' | date(recipient.user_id + \"'\" + 'a' * 10**6 + \"'\") | length }} "
        renderer = make(memory_mib=64)
        await renderer.start()
        [child] = children_of(os.getpid())
        assert told(await rendered(renderer, text, 60)) == {}
        assert not runs(child)

    async def test_while_suspects_are_worked_on_other_campaigns_go_on(self, make: Make) -> None:
        renderer = make(render_s=0.5)
        guilty = asyncio.create_task(rendered(renderer, SPINS, 10, *range(10)))
        for _ in range(20):
            assert await rendered(renderer, "", 60) == ok(60)
        assert not guilty.done()
        guilty.cancel()
        await asyncio.wait([guilty])
        assert await rendered(renderer, SPINS) == ok(3)

    async def test_a_call_that_is_cancelled_leaves_the_others_alone(self, make: Make) -> None:
        renderer = make()
        one, other = (asyncio.create_task(rendered(renderer, text, 60)) for text in ("one ", ""))
        await asyncio.sleep(0)
        one.cancel()
        assert await other == ok(60)


class TestChild:
    async def test_a_child_killed_in_the_middle_of_its_work_costs_nobody_a_message(self, make: Make) -> None:
        renderer = make()
        first = asyncio.create_task(rendered(renderer, "", 50))
        rest = [asyncio.create_task(rendered(renderer, "", 400)) for _ in range(4)]
        await first
        [child] = children_of(os.getpid())
        os.kill(child, signal.SIGKILL)
        assert await asyncio.gather(*rest) == [ok(400)] * 4
        assert child not in children_of(os.getpid())

    async def test_a_child_killed_while_it_has_nothing_to_do_is_replaced(self, make: Make) -> None:
        renderer = make()
        await renderer.start()
        [child] = children_of(os.getpid())
        os.kill(child, signal.SIGKILL)
        assert await rendered(renderer, "", 60) == ok(60)

    async def test_a_child_that_stands_still_is_replaced_and_fails_nobody(self, make: Make) -> None:
        renderer = make(render_s=0.02, compile_s=0.02)
        await renderer.start()
        [child] = children_of(os.getpid())
        os.kill(child, signal.SIGSTOP)
        assert await rendered(renderer, "", 60) == ok(60)
        assert not runs(child)

    async def test_a_message_whose_children_all_die_fails_in_the_end(self, make: Make) -> None:
        renderer = make(render_s=50)
        waiting = asyncio.create_task(rendered(renderer, SPINS, 2, 1))
        while not waiting.done():
            for child in children_of(os.getpid()):
                if cpu_s(child) > 0.4:  # it started in a fraction of that
                    with suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)
            await asyncio.wait([waiting], timeout=0.01)
        assert told(waiting.result()) == {1: "email.text: its process was ended by SIGKILL"}

    async def test_a_child_that_can_not_be_started_is_waited_for(
        self, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        renderer = make()
        with monkeypatch.context() as broken:
            broken.setattr(process, "_COMMAND", (sys.executable, "-c", "raise SystemExit(1)"))
            waiting = asyncio.create_task(rendered(renderer, ""))
            await asyncio.wait([waiting], timeout=0.2)
            broken.setattr(process, "_COMMAND", ("/no/such/program",))
            await asyncio.wait([waiting], timeout=0.5)
            assert not waiting.done()
        assert await waiting == ok(3)

    async def test_a_child_knows_no_secret_and_holds_nothing_open(
        self, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CLARION_REDIS_URL", "redis://:canary4711@127.0.0.1/0")
        renderer = make()
        await rendered(renderer, "")
        [child] = children_of(os.getpid())
        assert environment_of(child).keys() <= {"PYTHONPATH", "LD_LIBRARY_PATH", "TZ"}
        opened = files_of(child)
        assert {opened.pop(standard) for standard in (0, 1, 2)} == {"/dev/null"}
        assert len([what for what in opened.values() if not what.startswith("/dev/null")]) == 2

    async def test_signals_that_end_its_parent_do_not_end_it(self, make: Make) -> None:
        renderer = make()
        await renderer.start()
        [child] = children_of(os.getpid())
        assert os.getsid(child) == os.getpgid(child) == child
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(child, signum)
        assert await rendered(renderer, "") == ok(3)
        assert children_of(os.getpid()) == [child]

    async def test_a_child_ends_with_its_parent(self) -> None:
        program = """
import asyncio, sys
from clarion_core.content.renderer import Renderer
from clarion_core.content.wire import Limits
from clarion_core.domain.medium import Channel
from support.render_children import children_of
import os

async def main():
    await Renderer(Limits(render_s=60, compile_s=60, memory_mib=256)).start()
    print(*children_of(os.getpid()), flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""
        parent = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, env={"PYTHONPATH": os.pathsep.join(sys.path)}
        )
        assert parent.stdout
        child = int(await parent.stdout.readline())
        assert runs(child)
        parent.kill()
        await parent.wait()

        async def is_gone() -> bool:
            return not runs(child)

        await until(is_gone)

    async def test_a_revision_is_sent_once_and_the_least_used_is_forgotten(self, make: Make) -> None:
        renderer = make()

        async def text_of(key: str, text: str) -> str:
            (result,) = await renderer.render(revision(key, text=text), Channel.EMAIL, [in_transit(request())])
            assert isinstance(result, RenderedTexts)
            return result.get(TEXT)

        assert await text_of("a", "old a") == "old a"
        assert await text_of("b", "old b") == "old b"
        for n in range(process.KEPT - 1):
            assert await text_of(f"{n}", f"{n}") == f"{n}"
            assert await text_of("a", "new a") == "old a"
        assert await text_of("b", "new b") == "new b"


class TestCheck:
    async def test_problems_are_those_found_in_this_process(self, make: Make) -> None:
        bad = definition(subject="{{ a }}", html="{{ b1 }}\n{{ b2 | nofilter }}", text="{{ 1 +", sender="nobody")
        found = await make().check(bad, "campaign.contents")
        assert len(found) == 6
        assert found == check(bad, "campaign.contents")
        assert await make().check(example_orders.definition(), "campaign.contents") == []

    async def test_a_template_that_takes_too_long_is_a_problem_at_its_place(self, make: Make) -> None:
        renderer = make(compile_s=0.05)
        huge = definition(context=("x",), html="{{ x }}" * 5000, text="{{ y }}")
        slow, undeclared = await renderer.check(huge, "c")
        assert (slow.where, slow.message) == ("c[0].email.html:1:1", "took longer than 50 ms to compile")
        assert undeclared.where == "c[0].email.text:1:4"

    @pytest.mark.parametrize("name", HOSTILE)
    async def test_looking_into_a_hostile_template_is_harmless(self, make: Make, name: str) -> None:
        renderer = make()
        await renderer.check(definition(html=HOSTILE[name]), "c")
        assert await rendered(renderer, "") == ok(3)
