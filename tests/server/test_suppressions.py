"""SuppressionService over the wire, and what it does to deliveries, from the call to the mailbox."""

from __future__ import annotations

import time
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode

from clarion.v1 import delivery_pb2, delivery_service_pb2
from clarion.v1 import suppression_pb2 as lists
from clarion.v1 import suppression_service_pb2 as pb
from clarion_core.store.store import Store
from support.clarion import Clarion, a_recipient
from support.invariants import check
from support.records import Records
from support.refusal import refused
from support.smtp_sink import SmtpSink

S, Verdict, Delivery = lists.Suppression, lists.EntryVerdict, delivery_pb2.Delivery
OTHER = (("x-clarion-workspace", "team-b"),)
REQUEST = "3f0e7d1c-5b1e-4c53-9a37-5e5b2d1a0f11"
ADA = "ada@example.com"


@pytest.fixture(autouse=True)
async def _accounted(store: Store, clarion: Clarion) -> Any:
    yield
    await check(Records(store))


def target(text: str, channel: str = "email") -> lists.ListTarget:
    kind = {"domain": text[1:]} if text.startswith("@") else {"address": text}
    return lists.ListTarget(channel=channel, **kind)


def suppression(text: str, channel: str = "email", **fields: Any) -> lists.Suppression:
    return S(target=target(text, channel), **fields)


async def add(clarion: Clarion, *items: lists.Suppression, **more: Any) -> list[str]:
    request = pb.AddSuppressionsRequest(suppressions=items, **more)
    return words(await clarion.suppressions.AddSuppressions(request))


def words(answer: Any) -> list[str]:
    return [Verdict.Result.Name(each.result).removeprefix("RESULT_") for each in answer.verdicts]


async def remove(clarion: Clarion, *texts: str) -> list[str]:
    request = pb.RemoveSuppressionsRequest(targets=[target(text) for text in texts])
    return words(await clarion.suppressions.RemoveSuppressions(request))


async def checked(clarion: Clarion, *addresses: str, channel: str = "email", **more: Any) -> list[Any]:
    request = pb.CheckAddressesRequest(channel=channel, addresses=addresses, **more)
    return list((await clarion.suppressions.CheckAddresses(request)).verdicts)


async def listed(clarion: Clarion, **more: Any) -> list[lists.Suppression]:
    found: list[lists.Suppression] = []
    request = pb.ListSuppressionsRequest(**({"channel": "email"} | more))
    while True:
        page = await clarion.suppressions.ListSuppressions(request)
        found += page.suppressions
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def at(seconds: float) -> Timestamp:
    return Timestamp(seconds=int(time.time() + seconds))


def names(found: list[lists.Suppression]) -> list[str]:
    return sorted(each.target.address or f"@{each.target.domain}" for each in found)


async def test_a_suppression_is_added_listed_checked_and_removed(clarion: Clarion) -> None:
    until = at(3600)
    entry = suppression(
        "Ada@Example.com", reason=S.REASON_UNSUBSCRIBED, source="crm", comment="by phone", expire_time=until
    )
    assert await add(clarion, entry) == ["ADDED"]
    (stored,) = await listed(clarion)
    assert abs(stored.create_time.seconds - time.time()) < 60
    stored.ClearField("create_time")
    entry.target.address = ADA
    assert stored == entry
    (verdict,) = await checked(clarion, "ADA@example.com")
    assert (verdict.may_receive, verdict.reason, verdict.ajo_code) == (
        False,
        Delivery.REASON_ADDRESS_SUPPRESSED,
        "050102",
    )
    assert verdict.suppression.comment == "by phone"
    assert await add(clarion, suppression(ADA)) == ["UPDATED"]
    assert await add(clarion, suppression(ADA, reason=S.REASON_COMPLAINT)) == ["KEPT"]
    (stored,) = await listed(clarion)
    assert (stored.reason, stored.source, stored.HasField("expire_time")) == (S.REASON_MANUAL, "api", False)
    assert await remove(clarion, ADA, "bob@example.com") == ["REMOVED", "NOT_LISTED"]
    assert [each.may_receive for each in await checked(clarion, ADA)] == [True]


async def test_an_item_that_cannot_be_right_is_refused_and_the_others_are_added(clarion: Clarion) -> None:
    request = pb.AddSuppressionsRequest(
        suppressions=[
            suppression("not an address"),
            suppression(ADA),
            suppression("@example.com", "sms"),
            suppression("@no domain"),
            suppression("bob@example.com", expire_time=at(-5)),
            suppression("+4915112345678", "sms"),
            suppression("eve@example.com", expire_time=Timestamp(seconds=1 << 60)),
        ]
    )
    answer = await clarion.suppressions.AddSuppressions(request)
    assert words(answer) == ["REFUSED", "ADDED", "REFUSED", "REFUSED", "REFUSED", "ADDED", "REFUSED"]
    fields = [each.violations[0].field for each in answer.verdicts if each.violations]
    assert fields == [
        "suppressions[0].target.address",
        "suppressions[2].target.domain",
        "suppressions[3].target.domain",
        "suppressions[4].expire_time",
        "suppressions[6].expire_time",
    ]
    assert names(await listed(clarion)) == [ADA]
    assert names(await listed(clarion, channel="sms")) == ["+4915112345678"]


async def test_a_removal_that_cannot_be_right_is_refused(clarion: Clarion) -> None:
    targets = [target("@x", "push"), target("ada")]
    answer = await clarion.suppressions.RemoveAllowed(pb.RemoveAllowedRequest(targets=targets))
    assert words(answer) == ["REFUSED", "REFUSED"]
    assert [each.violations[0].field for each in answer.verdicts] == ["targets[0].domain", "targets[1].address"]


@pytest.mark.parametrize(
    "request_",
    [
        pb.AddSuppressionsRequest(),
        pb.AddSuppressionsRequest(suppressions=[S(target=lists.ListTarget(channel="email"))]),
        pb.AddSuppressionsRequest(suppressions=[suppression(ADA, "letter")]),
        pb.AddSuppressionsRequest(suppressions=[suppression(ADA, source="two words")]),
        pb.AddSuppressionsRequest(suppressions=[suppression(ADA, comment="x" * 201)]),
        pb.AddSuppressionsRequest(suppressions=[suppression(ADA)] * 1001),
    ],
)
async def test_what_breaks_a_rule_of_the_contract_is_refused_as_a_whole(clarion: Clarion, request_: Any) -> None:
    refusal = await refused(clarion.suppressions.AddSuppressions(request_))
    assert refusal.code is StatusCode.INVALID_ARGUMENT
    assert refusal.violations


async def test_a_call_that_only_asks_changes_nothing(clarion: Clarion) -> None:
    assert await add(clarion, suppression(ADA), suppression("x"), validate_only=True) == ["VALID", "REFUSED"]
    assert await listed(clarion) == []


async def test_a_repeated_call_gets_the_first_answer_and_does_nothing_again(clarion: Clarion) -> None:
    request = pb.AddSuppressionsRequest(suppressions=[suppression(ADA)], request_id=REQUEST)
    first = await clarion.suppressions.AddSuppressions(request)
    await remove(clarion, ADA)
    again = await clarion.suppressions.AddSuppressions(request)
    assert (words(first), words(again)) == (["ADDED"], ["ADDED"])
    assert (first.replayed, again.replayed) == (False, True)
    assert await listed(clarion) == []
    request.suppressions.append(suppression("bob@example.com"))
    assert (await refused(clarion.suppressions.AddSuppressions(request))).reason == "REQUEST_ID_REUSED"


async def test_a_thousand_entries_are_one_call_and_their_list_has_pages(clarion: Clarion) -> None:
    addresses = [f"user-{n}@example.com" for n in range(1000)]
    assert set(await add(clarion, *map(suppression, addresses))) == {"ADDED"}
    first = await clarion.suppressions.ListSuppressions(pb.ListSuppressionsRequest(channel="email", page_size=30))
    assert len(first.suppressions) == 30
    assert names(await listed(clarion, page_size=30)) == sorted(addresses)
    stranger = pb.ListSuppressionsRequest(channel="sms", page_token=first.next_page_token)
    assert (await refused(clarion.suppressions.ListSuppressions(stranger))).reason == "PAGE_TOKEN_INVALID"


async def test_a_list_can_be_narrowed(clarion: Clarion) -> None:
    await add(
        clarion,
        suppression(ADA, source="crm"),
        suppression("bob@example.com", reason=S.REASON_HARD_BOUNCE, source="smtp"),
        suppression("@example.org", reason=S.REASON_IMPORT),
    )
    assert names(await listed(clarion, reasons=[S.REASON_HARD_BOUNCE, S.REASON_IMPORT])) == [
        "@example.org",
        "bob@example.com",
    ]
    assert names(await listed(clarion, source="crm")) == [ADA]
    assert names(await listed(clarion, prefix="b")) == ["bob@example.com"]
    assert names(await listed(clarion, from_time=at(-60))) == ["@example.org", ADA, "bob@example.com"]
    assert await listed(clarion, from_time=at(60)) == []


async def test_workspaces_have_lists_of_their_own(clarion: Clarion) -> None:
    await clarion.suppressions.AddSuppressions(
        pb.AddSuppressionsRequest(suppressions=[suppression(ADA)]), metadata=OTHER
    )
    assert [each.may_receive for each in await checked(clarion, ADA)] == [True]


async def test_an_allow_list_is_switched_filled_and_listed(clarion: Clarion) -> None:
    stub = clarion.suppressions
    switched = await stub.SetAllowListActive(pb.SetAllowListActiveRequest(channel="email", active=True))
    assert switched.allow_list == lists.AllowList(channel="email", active=True)
    (verdict,) = await checked(clarion, ADA)
    assert (verdict.reason, verdict.ajo_code) == (Delivery.REASON_ADDRESS_NOT_ALLOWED, "050103")
    assert not verdict.HasField("suppression")
    entries = [
        lists.AllowedEntry(target=target("@Example.com"), comment="ours"),
        lists.AllowedEntry(target=target("x")),
    ]
    assert words(await stub.AddAllowed(pb.AddAllowedRequest(entries=entries))) == ["ADDED", "REFUSED"]
    (allowed,) = (await stub.ListAllowed(pb.ListAllowedRequest(channel="email"))).entries
    assert (allowed.target.domain, allowed.comment, allowed.source) == ("example.com", "ours", "api")
    assert [each.may_receive for each in await checked(clarion, ADA, "bob@example.org")] == [True, False]
    state = (await stub.GetAllowList(pb.GetAllowListRequest(channel="email"))).allow_list
    assert (state.active, state.entries) == (True, 1)
    removed = await stub.RemoveAllowed(pb.RemoveAllowedRequest(targets=[target("@example.com"), target("@x.org")]))
    assert words(removed) == ["REMOVED", "NOT_LISTED"]
    await stub.SetAllowListActive(pb.SetAllowListActiveRequest(channel="email"))
    assert [each.may_receive for each in await checked(clarion, ADA)] == [True]


async def test_complaints_are_checked_as_the_channel_would(clarion: Clarion) -> None:
    await add(clarion, suppression(ADA, reason=S.REASON_COMPLAINT))
    assert [each.may_receive for each in await checked(clarion, ADA)] == [False]
    assert [each.may_receive for each in await checked(clarion, ADA, pass_over_complaints=True)] == [True]


async def test_the_whole_path_accounts_for_who_was_not_sent_to(clarion: Clarion) -> None:
    await clarion.live_campaign()
    await add(clarion, suppression("Suppressed@Example.com"), suppression("@example.org", reason=S.REASON_IMPORT))
    people = ["ada@example.com", "suppressed@example.com", "bob@example.org", "late@example.com"]
    recipients = [a_recipient(n, addresses={"email": address}) for n, address in enumerate(people)]
    trigger = await clarion.trigger(recipients=recipients)
    await add(clarion, suppression("late@example.com"))  # while its batch waits
    async with SmtpSink() as sink:
        await clarion.work(sink.port)
        trigger = await clarion.finished(trigger.name)
        assert [message.rcpt_to for message in sink.messages] == [["ada@example.com"]]
    assert (trigger.counts.sent, trigger.counts.suppressed) == (1, 3)
    request = delivery_service_pb2.ListDeliveriesRequest(trigger=trigger.name, states=[Delivery.STATE_SUPPRESSED])
    found = (await clarion.deliveries.ListDeliveries(request)).deliveries
    assert [Delivery.Reason.Name(each.reason) for each in found] == [
        "REASON_ADDRESS_SUPPRESSED",
        "REASON_DOMAIN_SUPPRESSED",
        "REASON_ADDRESS_SUPPRESSED",
    ]
    assert found[1].detail.startswith("IMPORT since ")


async def test_who_bounced_is_listed_with_the_provider_s_words_and_not_sent_to_again(clarion: Clarion) -> None:
    await clarion.live_campaign()
    async with SmtpSink() as sink:
        sink.script("rcpt", "550 5.1.1 nobody of that name")
        await clarion.work(sink.port)
        await clarion.finished((await clarion.trigger()).name)
        sink.heal()
        trigger = await clarion.finished((await clarion.trigger()).name)
    assert trigger.counts.suppressed == 1
    (entry,) = await listed(clarion)
    assert (entry.reason, entry.source) == (S.REASON_HARD_BOUNCE, "smtp")
    assert entry.comment == "550 5.1.1 nobody of that name"
