"""Clarion and its peers in turn: the same orders and mails, the same sink and kind of Redis; the others stand by."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from statistics import median

from benchmarks import orders
from benchmarks.deliver import PATIENCE_S, send
from benchmarks.peers import honesty
from benchmarks.peers.peer import PEERS, Peer, Running, running
from benchmarks.plan import Plan
from benchmarks.processes import BenchError, CpuMeter
from benchmarks.rows import Row, compared
from benchmarks.sink import SinkWatch, watch
from benchmarks.stand import Stand, sink, stand
from clarion_stack.errors import StackError

WARM = 1_000  # messages: templates compiled, connections open, just-in-time compilers done


class Rounds:
    """What the rounds of one side brought: messages a second, and CPU microseconds a message by process."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self._cpu: list[Mapping[str, float]] = []

    def add(self, count: int, seconds: float, cpu_s: Mapping[str, float]) -> None:
        """One round more. The sink serves all alike and is not counted."""
        self.rates.append(count / seconds)
        self._cpu.append({name: 1e6 * used / count for name, used in cpu_s.items() if name != "sink"})

    def cpu(self) -> list[float]:
        """All processes of each round."""
        return [sum(used.values()) for used in self._cpu]

    def parts(self) -> str:
        """The medians by process, in words."""
        return ", ".join(f"{name} {median(used[name] for used in self._cpu):,.0f}" for name in self._cpu[0])


async def measure(plan: Plan) -> list[Row]:
    """Rounds in turn. A peer that can't be installed, or that says something else than we do, makes its row void."""
    void: list[Row] = []
    async with AsyncExitStack() as stack:
        rivals: dict[Peer, tuple[Running, SinkWatch, str]] = {}
        for peer in PEERS:
            try:
                said = f"{await honesty.check(peer, plan.directory)} mails say the same"
                rivals[peer] = (*await _started(stack, peer, plan), said)
            except (BenchError, StackError) as error:
                void.append(Row(id=f"deliver_vs_{peer.name}", value=None, unit="msg/s", note=str(error)))
        clarion = await stack.enter_async_context(stand(plan.directory, maxmemory="4gb"))
        own = await stack.enter_async_context(watch(clarion.sink_port))
        ours, theirs = Rounds(), {peer: Rounds() for peer in rivals}
        await _ours(clarion, own, WARM, Rounds())
        for _ in range(plan.peer_rounds if rivals else 0):
            await _ours(clarion, own, plan.beside, ours)
            for peer, (rival, sinks, _) in rivals.items():
                await _theirs(rival, sinks, plan.peers[peer.name], theirs[peer])
    rows = void
    for peer, (_, _, said) in rivals.items():
        rows += _rows(peer.name, ours, theirs[peer], f"{plan.peer_rounds} rounds of {plan.peers[peer.name]:,}; {said}")
    return rows


async def _started(stack: AsyncExitStack, peer: Peer, plan: Plan) -> tuple[Running, SinkWatch]:
    port = stack.enter_context(sink(plan.directory, name=f"{peer.name}-sink")).said["port"]
    rival = stack.enter_context(running(peer, plan.directory, port))
    sinks = await stack.enter_async_context(watch(port))
    await _theirs(rival, sinks, WARM, Rounds())
    return rival, sinks


async def _ours(clarion: Stand, sinks: SinkWatch, count: int, rounds: Rounds) -> None:
    meter = CpuMeter(clarion.pids)
    rounds.add(count, await send(clarion, sinks, orders.calls(count), count), meter.read())


async def _theirs(rival: Running, sinks: SinkWatch, count: int, rounds: Rounds) -> None:
    await sinks.expect(count)
    meter = CpuMeter(rival.pids)
    queued = rival.queue(orders.plain(count))
    seconds = await sinks.last(PATIENCE_S) - queued.started
    used = {name: seconds for name, seconds in meter.read().items() if name != "client"}
    rounds.add(count, seconds, {"producer": queued.cpu_s, **used})


def _rows(name: str, ours: Rounds, theirs: Rounds, note: str) -> list[Row]:
    cpu = f"{ours.parts()}; {name}: {theirs.parts()}"
    return [
        compared(f"deliver_vs_{name}", "msg/s", ours.rates, theirs.rates, note),
        compared(f"deliver_cpu_vs_{name}", "us/msg", ours.cpu(), theirs.cpu(), cpu),
    ]
