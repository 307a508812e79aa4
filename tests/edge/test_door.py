"""The door itself: what it answers to whom, and that whatever comes it goes on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarion_core.domain.feedback import FactKind
from clarion_core.store.store import Store
from clarion_edge import patience
from clarion_edge.door import LONGEST_BODY
from clarion_stack.redis import RedisServer
from support.edge import SECRET, Door
from support.records import Records

FILE = """\
sources:
  - name: ses
    sns: {topics: ["arn:aws:sns:eu-west-1:123456789012:clarion"]}
  - name: twilio
    twilio: {auth_token: {env: RECEIPTS_SECRET}}
  - name: any
    http:
      secret: {env: RECEIPTS_SECRET}
      secret_header: X-Key
      delivery: /id
      status: /status
      time: /time
      statuses: {DELIVRD: delivered, UNDELIV: invalid_recipient, LATER: deferred, SPAM: complained}
"""
PATH = "/receipts/any"


async def told(door: Door, **body: object) -> int:
    return await door.post(PATH, json.dumps(body), X_Key=SECRET)


async def test_a_delivery_that_there_is_not_is_answered_like_one_that_there_is(door: Door) -> None:
    await door.open(FILE)
    [one] = await door.sent()
    answers = []
    for delivery in (one, "00" + "1" * 19 + "-0", "nonsense", "zz" + "1" * 19 + "-0"):
        body = json.dumps({"id": delivery, "status": "DELIVRD"})
        async with door.http.post(f"{door.url}{PATH}", data=body, headers={"X-Key": SECRET}) as answer:
            told = {name: value for name, value in answer.headers.items() if name != "Date"}
            answers.append((answer.status, told, await answer.read()))
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][0] == 200
    assert await door.counted("clarion_edge_facts", source="any", kind="delivered", noted="gone") == 3
    assert await door.counted("clarion_edge_facts", source="any", kind="delivered", noted="new") == 1


async def test_a_body_that_is_too_large_is_refused_whatever_its_headers_say(door: Door) -> None:
    await door.open(FILE)

    async def chunks() -> object:
        for _ in range(LONGEST_BODY // 65_536 + 1):
            yield b" " * 65_536

    for body in (b" " * (LONGEST_BODY + 1), chunks()):
        async with door.http.post(f"{door.url}{PATH}", data=body, headers={"X-Key": SECRET}) as answer:
            assert answer.status == 413
    [one] = await door.sent()
    assert await told(door, id=one, status="DELIVRD", more="x" * (LONGEST_BODY - 200)) == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 404), ("/receipts", 404), ("/receipts/nobody", 404), ("/receipts/any/a/b", 404), ("/metrics", 404)],
)
async def test_there_is_nothing_anywhere_else(door: Door, path: str, status: int) -> None:
    await door.open(FILE)
    assert await door.post(path) == status


async def test_it_is_alive_always_and_ready_while_the_store_is_there(door: Door) -> None:
    await door.open(FILE)
    for path in ("/healthz", "/readyz"):
        async with door.http.get(f"{door.url}{path}") as answer:
            assert answer.status == 200


async def test_while_the_store_is_away_the_sender_is_told_to_come_again(
    store: Store, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECEIPTS_SECRET", SECRET)
    chosen = os.environ.get("CLARION_TEST_REDIS_SERVER")
    own = RedisServer(tmp_path_factory.mktemp("own"), Path(chosen) if chosen else None)
    own.start()
    try:
        async with Door(Records(store), own.url, tmp_path) as door:
            await door.open(FILE)
            own.stop()
            assert await told(door, id="00" + "1" * 19 + "-0", status="DELIVRD") == 503
            statuses = []
            for path in ("/readyz", "/healthz"):
                async with door.http.get(f"{door.url}{path}") as answer:
                    statuses.append(answer.status)
            assert statuses == [503, 200]
    finally:
        own.stop()


async def test_what_many_tell_at_once_is_counted_once(door: Door) -> None:
    await door.open(FILE)
    ids = await door.sent(5)
    posts = [told(door, id=each, status=word) for each in ids for word in ("DELIVRD", "UNDELIV", "SPAM") * 4]
    assert set(await asyncio.gather(*posts)) == {200}
    for each in await door.deliveries():
        assert {fact.kind for fact in each.facts} == {FactKind.DELIVERED, FactKind.BOUNCED, FactKind.COMPLAINED}
        assert len(each.facts) == 3
    feedback = (await door.records.get(door._trigger)).trigger.feedback
    assert (feedback.delivered, feedback.bounced, feedback.complained) == (5, 5, 5)


async def test_a_request_in_hand_is_answered_when_the_door_closes(door: Door) -> None:
    await door.open(FILE)
    [one] = await door.sent()
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> object:
        yield b'{"id": "' + one.encode()
        arrived.set()
        await go_on.wait()
        yield b'", "status": "DELIVRD"}'

    async def post() -> int:
        async with door.http.post(f"{door.url}{PATH}", data=slowly(), headers={"X-Key": SECRET}) as answer:
            return answer.status

    posting = asyncio.create_task(post())
    await arrived.wait()
    stopping = asyncio.create_task(door.edge.stop())
    go_on.set()
    assert await posting == 200
    await stopping
    assert [fact.kind for fact in await door.facts()] == [FactKind.DELIVERED]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_ENVELOPE = st.dictionaries(
    st.sampled_from(["Type", "Message", "TopicArn", "Signature", "SigningCertURL", "SignatureVersion", "Timestamp"]),
    st.sampled_from(["Notification", "arn:aws:sns:eu-west-1:123456789012:clarion", "1", "2", "https://a"]) | _JSON,
)
_BODY = st.binary(max_size=100) | _JSON.map(json.dumps).map(str.encode) | _ENVELOPE.map(json.dumps).map(str.encode)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    source=st.sampled_from(["ses", "twilio", "any"]),
    body=_BODY,
    query=st.text(st.characters(codec="latin-1", categories=("L", "N", "P")), max_size=20),
    kind=st.sampled_from(["application/json", "application/x-www-form-urlencoded", "text/plain", ""]),
)
async def test_whatever_comes_is_no_defect_of_ours(door: Door, source: str, body: bytes, query: str, kind: str) -> None:
    if not hasattr(door, "edge"):
        await door.open(FILE)
    headers = {"X-Key": SECRET, "X-Twilio-Signature": "AAAA", "Content-Type": kind}
    async with door.http.post(f"{door.url}/receipts/{source}?{query}", data=body, headers=headers) as answer:
        assert answer.status in (200, 400, 403)


@pytest.mark.parametrize("first", [b"", b"GET /receipts/any HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"])
async def test_a_connection_that_never_comes_to_the_point_is_dropped(
    door: Door, monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    monkeypatch.setattr(patience, "REQUEST_S", 0.2)
    await door.open(FILE)
    reader, writer = await asyncio.open_connection("127.0.0.1", door.edge.port)
    writer.write(first + b"GET / HTTP/1.1\r\n")
    answered = asyncio.create_task(reader.read())
    with contextlib.suppress(OSError):
        while not answered.done():  # a letter now and then keeps nothing open
            writer.write(b"a")
            await writer.drain()
            await asyncio.wait([answered], timeout=0.01)
    with contextlib.suppress(OSError):
        assert (await answered).startswith(b"HTTP/1.1 403" if first else b"")
    writer.close()
