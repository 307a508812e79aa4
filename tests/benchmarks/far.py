"""Mail to servers that are not beside us: with TLS, and with one that takes its time. From the first call on."""

from __future__ import annotations

import trustme

from benchmarks import orders
from benchmarks.deliver import bare_loop, send
from benchmarks.plan import Plan
from benchmarks.rows import Row, compared
from benchmarks.sink import watch
from benchmarks.stand import stand

ANSWER_S = 0.1
CONNECTIONS, WINDOW, JOBS = 512, 1_024, 8


async def measure(plan: Plan) -> list[Row]:
    """Both."""
    return [await _with_tls(plan), await _slow(plan)]


async def _with_tls(plan: Plan) -> Row:
    """One worker beside the bare loop, both with TLS to the same sink."""
    authority = trustme.CA()
    ca_file, cert = plan.directory / "ca.pem", plan.directory / "sink.pem"
    authority.cert_pem.write_to_path(ca_file)
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(cert)
    settings = {"CLARION_SMTP_SECURITY": "tls", "CLARION_SMTP_CA_FILE": str(ca_file)}
    ours, bare = [], []
    calls = orders.calls(plan.deliveries)
    options = ("--cert", cert)
    async with (
        stand(plan.directory, maxmemory="4gb", sink_options=options, settings=settings, port="tls_port") as clarion,
        watch(clarion.sink_port) as sinks,
    ):
        await send(clarion, sinks, orders.calls(plan.warm), plan.warm)
        for _ in range(plan.far_rounds):
            said = bare_loop(plan, clarion.mail_port, "--ca-file", ca_file)
            bare.append(plan.bare / said["seconds"])
            ours.append(plan.deliveries / await send(clarion, sinks, calls, plan.deliveries))
    return compared("smtp_tls", "msg/s", ours, bare, f"{len(ours)} rounds of {plan.deliveries:,}")


async def _slow(plan: Plan) -> Row:
    """One worker, and a sink that answers each message after 100 ms; so many connections and no more."""
    settings = {"CLARION_SMTP_CONNECTIONS": str(CONNECTIONS), "CLARION_WINDOW": str(WINDOW), "CLARION_JOBS": str(JOBS)}
    calls = orders.calls(plan.deliveries)
    options = ("--answer-s", ANSWER_S)
    async with (
        stand(plan.directory, maxmemory="4gb", sink_options=options, settings=settings) as clarion,
        watch(clarion.sink_port) as sinks,
    ):
        await send(clarion, sinks, orders.calls(plan.warm), plan.warm)
        rates = [plan.deliveries / await send(clarion, sinks, calls, plan.deliveries) for _ in range(plan.far_rounds)]
    ideal = CONNECTIONS / ANSWER_S
    return compared("slow_sink", "msg/s", rates, [ideal], f"{CONNECTIONS} connections, one worker")
