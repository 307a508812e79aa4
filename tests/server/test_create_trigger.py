"""CreateTrigger: what is accepted, when it is durable, and under which revision."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import StatusCode

from clarion.v1 import campaign_pb2, trigger_pb2
from clarion.v1 import campaign_service_pb2 as campaigns
from clarion_core.store.store import Store
from support.clarion import CAMPAIGN, Clarion, a_recipient, a_trigger, an_email
from support.refusal import refused
from support.smtp_sink import SmtpSink

Proto = trigger_pb2.Trigger
Field = campaign_pb2.ContextField


async def keys_of(store: Store) -> list[bytes]:
    return sorted(await store.command("KEYS", "*"))


async def update(clarion: Clarion, **fields: Any) -> campaign_pb2.Campaign:
    request = campaigns.UpdateCampaignRequest(campaign=campaign_pb2.Campaign(name=CAMPAIGN, **fields))
    return (await clarion.campaigns.UpdateCampaign(request)).campaign


async def test_the_answer_comes_when_records_and_job_are_in_the_store(clarion: Clarion, store: Store) -> None:
    await clarion.live_campaign()
    trigger = await clarion.trigger(3)

    assert trigger.name.startswith(f"{CAMPAIGN}/triggers/")
    assert (trigger.campaign, trigger.campaign_revision, trigger.state) == (CAMPAIGN, 1, Proto.STATE_RUNNING)
    assert trigger.counts == trigger_pb2.DeliveryCounts(accepted=3, in_flight=3)
    assert trigger.create_time.seconds > 0
    assert not trigger.HasField("finish_time")

    trigger_id = trigger.name.rpartition("/")[2]
    stored = await store.command("HMGET", f"clarion:{{0}}:t:{trigger_id}", "acc", "fly")
    assert stored == [b"3", b"3"]
    jobs = await store.command("ZRANGE", "clarion:{0}:q:transactional.email/default/email", 0, -1)
    assert len(jobs) == 1
    assert await store.command("EXISTS", b"arq:job:" + jobs[0]) == 1


async def test_a_thousand_recipients_fit_and_one_more_does_not(clarion: Clarion, store: Store) -> None:
    await clarion.live_campaign()
    trigger = await clarion.trigger(1000)
    assert trigger.counts.accepted == 1000

    keys = await keys_of(store)
    error = await refused(clarion.triggers.CreateTrigger(a_trigger(1001)))
    assert error.says == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert list(error.violations) == ["recipients"]
    assert "1000" in error.violations["recipients"]
    assert await keys_of(store) == keys


async def test_a_request_without_recipients_is_refused(clarion: Clarion) -> None:
    await clarion.live_campaign()
    error = await refused(clarion.triggers.CreateTrigger(a_trigger(0)))
    assert list(error.violations) == ["recipients"]


async def test_four_mebibytes_are_accepted_and_more_is_refused_clearly(clarion: Clarion, store: Store) -> None:
    await clarion.live_campaign()
    request = a_trigger(1, recipients=[a_recipient(profile={"bio": ""})])
    bio = request.recipients[0].profile.fields["bio"]
    bio.string_value = "x" * ((4 << 20) - request.ByteSize())
    bio.string_value = "x" * (len(bio.string_value) - (request.ByteSize() - (4 << 20)))
    assert request.ByteSize() == 4 << 20
    assert (await clarion.triggers.CreateTrigger(request)).trigger.counts.accepted == 1

    keys = await keys_of(store)
    bio.string_value += "x"
    error = await refused(clarion.triggers.CreateTrigger(request))
    assert error.says == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert error.violations == {"request": "is 4,194,305 bytes long, 4,194,304 at most"}
    assert await keys_of(store) == keys


async def test_many_recipients_of_four_mebibytes_are_accepted_as_one(clarion: Clarion) -> None:
    await clarion.live_campaign()
    recipients = [a_recipient(index, profile={"bio": "x" * 4000}) for index in range(1000)]
    trigger = (await clarion.triggers.CreateTrigger(a_trigger(recipients=recipients))).trigger
    assert trigger.counts == trigger_pb2.DeliveryCounts(accepted=1000, in_flight=1000)


async def test_checking_only_stores_nothing_and_gives_no_name(clarion: Clarion, store: Store) -> None:
    await clarion.live_campaign()
    keys = await keys_of(store)
    recipients = [a_recipient(0), a_recipient(1, addresses={"email": "nobody"})]
    trigger = (await clarion.triggers.CreateTrigger(a_trigger(recipients=recipients, validate_only=True))).trigger
    assert (trigger.name, trigger.counts.accepted, trigger.counts.refused) == ("", 1, 1)
    assert await keys_of(store) == keys


async def test_every_script_and_number_arrives_as_it_was_sent(clarion: Clarion) -> None:
    names = ["Zoë", "Анна", "李小龍", "محمد", "👩‍👩‍👧", "e\u0301", "a\tb", "'\"<&>"]
    text = "{{ profile.name }}|{{ n }}|{{ user }}|{{ deep.list[1].x }}"
    context = [Field(name=name, type=kind) for name, kind in (("n", Field.TYPE_NUMBER), ("user", Field.TYPE_STRING))]
    context.append(Field(name="deep", type=Field.TYPE_OBJECT))
    await clarion.live_campaign(context=context, contents=[an_email(subject="{{ profile.name }}", text=text)])
    numbers: dict[float, str] = {0: "0", 7.0: "7", -3: "-3", 2.5: "2.5", 2**53: str(2**53), 1e300: "1e+300"}

    for number, shown in numbers.items():
        for name in names:
            user_id = f"id-{name}"
            recipient = a_recipient(user_id=user_id, profile={"name": name}, context={"n": number, "user": name})
            request = campaigns.PreviewCampaignRequest(
                name=CAMPAIGN, recipient=recipient, context={"deep": {"list": [1, {"x": True}]}}
            )
            email = (await clarion.campaigns.PreviewCampaign(request)).email
            assert email.text == f"{name}|{shown}|{name}|True"
        answer = await clarion.triggers.CreateTrigger(a_trigger(recipients=[recipient]))
        assert answer.trigger.counts.accepted == 1


@pytest.mark.parametrize("state", ["DRAFT", "PAUSED", "STOPPED"])
async def test_a_campaign_that_is_not_live_refuses_on_every_server(clarion: Clarion, state: str, store: Store) -> None:
    other = await clarion.serve()
    channel = await clarion.channel(other)
    create = channel.unary_unary(
        "/clarion.v1.TriggerService/CreateTrigger",
        request_serializer=type(a_trigger()).SerializeToString,
    )
    if state == "DRAFT":
        request = campaigns.CreateCampaignRequest(campaign_id="welcome", campaign={"contents": [an_email()]})
        await clarion.campaigns.CreateCampaign(request)
    else:
        await clarion.live_campaign()
        await create(a_trigger())  # so that the other server knows it as LIVE
        action = {"PAUSED": "Pause", "STOPPED": "Stop"}[state]
        request = getattr(campaigns, f"{action}CampaignRequest")(name=CAMPAIGN)
        await getattr(clarion.campaigns, f"{action}Campaign")(request)

    keys = await keys_of(store)
    for call in (create(a_trigger()), clarion.triggers.CreateTrigger(a_trigger()), create(a_trigger(validate_only=1))):
        error = await refused(call)
        assert error.says == (StatusCode.FAILED_PRECONDITION, "CAMPAIGN_STATE")
        assert error.metadata == {"resource": CAMPAIGN, "state": state, "allowed": "LIVE"}
    assert await keys_of(store) == keys


async def test_a_change_holds_from_the_next_call_on_also_at_a_server_that_knew_the_old(clarion: Clarion) -> None:
    other = await clarion.serve()
    channel = await clarion.channel(other)
    stub = type(clarion.triggers)(channel)
    await clarion.live_campaign()
    assert (await stub.CreateTrigger(a_trigger())).trigger.campaign_revision == 1

    total = Field(name="total", type=Field.TYPE_NUMBER, required=True)
    assert (await update(clarion, context=[total])).revision == 2

    error = await refused(stub.CreateTrigger(a_trigger()))
    assert list(error.violations) == ["recipients[0].context.total"]
    answer = await stub.CreateTrigger(a_trigger(context={"total": 1}))
    assert answer.trigger.campaign_revision == 2
    assert (await update(clarion, context=[total, Field(name="more", type=Field.TYPE_STRING)])).revision == 3
    checked = await stub.CreateTrigger(a_trigger(context={"total": 1, "more": "x"}, validate_only=True))
    assert checked.trigger.campaign_revision == 3


async def test_what_was_accepted_is_sent_as_it_was_accepted(clarion: Clarion) -> None:
    await clarion.live_campaign(contents=[an_email(text="first")])
    before = await clarion.trigger()
    await update(clarion, contents=[an_email(text="second")])
    after = await clarion.trigger()
    async with SmtpSink() as sink:
        await clarion.work(sink.port)
        for trigger in (before, after):
            assert (await clarion.finished(trigger.name)).counts.sent == 1
        sent = [message.content.partition(b"\r\n\r\n")[2].strip() for message in sink.messages]
    assert sorted(sent) == [b"first", b"second"]
