"""The contract as files: clean, current, described, kept, and the same as what the code does."""

from __future__ import annotations

import filecmp
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from buf.validate import validate_pb2
from clarion.v1 import (
    campaign_pb2,
    campaign_service_pb2,
    channel_configuration_pb2,
    channel_configuration_service_pb2,
    delivery_pb2,
    delivery_service_pb2,
    error_reason_pb2,
    suppression_pb2,
    suppression_service_pb2,
    trigger_pb2,
    trigger_service_pb2,
    worker_pb2,
    worker_service_pb2,
)
from clarion_core.devices import MAX_TOKEN
from clarion_core.domain.campaign import AmbiguityPolicy, CampaignState, Category, FieldType, RetryPolicy
from clarion_core.domain.content import (
    MAX_BODY_BYTES,
    MAX_BODY_DEPTH,
    MAX_SMS_CHARACTERS,
    PushPriority,
)
from clarion_core.domain.delivery import DeliveryState, Reason
from clarion_core.domain.error_class import ErrorClass
from clarion_core.domain.medium import PLATFORMS, Channel, Medium
from clarion_core.domain.suppression import SuppressionReason
from clarion_core.domain.trigger import MAX_RECIPIENTS, Counts, TriggerState
from clarion_core.domain.worker import BatchState, WorkerState
from clarion_core.push.limits import COLLAPSE_ID_MAX, PAYLOAD_MAX
from clarion_core.urls import MAX_CHARACTERS
from clarion_server import convert_campaign, convert_content, convert_suppression, convert_trigger, convert_worker
from clarion_server.paging import DEFAULT_SIZE, MAX_SIZE

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
RELEASED = ROOT / "protos" / "released.binpb"
FILES = [
    campaign_pb2,
    campaign_service_pb2,
    channel_configuration_pb2,
    channel_configuration_service_pb2,
    delivery_pb2,
    delivery_service_pb2,
    error_reason_pb2,
    suppression_pb2,
    suppression_service_pb2,
    trigger_pb2,
    trigger_service_pb2,
    worker_pb2,
    worker_service_pb2,
]


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """What a command says; it must succeed."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def a_copy(folder: Path, change: Callable[[str], str] = str) -> Path:
    """The contract in another folder, with the trigger service's file changed."""
    shutil.copy(ROOT / "buf.yaml", folder)
    shutil.copytree(ROOT / "protos", folder / "protos", ignore=shutil.ignore_patterns("gen"))
    path = folder / "protos/clarion/v1/trigger_service.proto"
    before = path.read_text("utf-8")
    path.write_text(change(before), "utf-8")
    return folder


def test_the_contract_is_linted_and_formatted() -> None:
    run("buf", "lint")
    run("buf", "format", "--diff", "--exit-code")


def compare(folder: Path, image: Path) -> None:
    """Fail where a released promise is broken. An image holds what `buf build` took from all modules."""
    run("buf", "build", "--path", "protos/clarion", "-o", image, cwd=folder)
    run("buf", "breaking", image, "--against", RELEASED, cwd=folder)


def test_the_linter_asks_for_a_comment_on_everything(tmp_path: Path) -> None:
    folder = a_copy(tmp_path, lambda text: text.replace("  // The trigger as it was accepted.\n", ""))
    with pytest.raises(AssertionError, match="non-empty comment"):
        run("buf", "lint", cwd=folder)


def test_the_contract_keeps_what_was_released(tmp_path: Path) -> None:
    compare(ROOT, tmp_path / "now.binpb")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  string request_id = 4 [", "  string request_id = 7 ["),
        ("  bool all_or_nothing = 5;", "  string all_or_nothing = 5;"),
        ("  bool all_or_nothing = 5;", "  bool all_or_none = 5;"),
        ("rpc GetTrigger(", "rpc ReadTrigger("),
        ("service TriggerService", "service RunService"),
        ("returns (GetTriggerResponse)", "returns (stream GetTriggerResponse)"),
    ],
    ids=["renumbered", "another type", "another name", "a call", "a service", "streaming"],
)
def test_a_broken_promise_is_found(tmp_path: Path, old: str, new: str) -> None:
    folder = a_copy(tmp_path, lambda text: text.replace(old, new))
    with pytest.raises(AssertionError, match=r"clarion/v1/"):
        compare(folder, tmp_path / "now.binpb")


def test_the_image_of_the_release_holds_the_whole_contract() -> None:
    image = FileDescriptorSet.FromString(RELEASED.read_bytes())
    ours = {file.name for file in image.file if file.package == "clarion.v1"}
    assert ours == {module.DESCRIPTOR.name for module in FILES}


def test_the_generated_code_is_what_the_contract_says(tmp_path: Path) -> None:
    gen = tmp_path / "gen"
    gen.mkdir()
    protos = [f"clarion/v1/{path.name}" for path in sorted((ROOT / "protos/clarion/v1").glob("*.proto"))]
    outs = ["python_out=", "grpc_python_out=", "mypy_out=quiet:", "mypy_grpc_out=quiet:"]
    protoc = [sys.executable, "-m", "grpc_tools.protoc", "-Iprotos", "-Iprotos/vendor"]
    run(*protoc, *(f"--{out}{gen}" for out in outs), *protos)
    run(*protoc, f"--python_out={gen}", "buf/validate/validate.proto")
    made = sorted(path.relative_to(gen) for path in gen.rglob("*.py*"))
    kept = {path.relative_to(ROOT / "protos/gen") for path in (ROOT / "protos/gen").rglob("*_pb2*.py*")}
    assert {path for path in kept if "__pycache__" not in path.parts} == set(made)
    _, different, missing = filecmp.cmpfiles(gen, ROOT / "protos/gen", [str(path) for path in made], shallow=False)
    assert (different, missing) == ([], [])


def test_the_layers_hold() -> None:
    assert "0 broken" in run("lint-imports", "--no-cache")


def descriptors(file: FileDescriptor) -> Iterator[Descriptor]:
    pending = list(file.message_types_by_name.values())
    while pending:
        message = pending.pop()
        yield message
        pending += message.nested_types


def rules(message: Descriptor, field: str) -> Any:
    return message.fields_by_name[field].GetOptions().Extensions[validate_pb2.field]


def test_limits_of_contents_and_devices_are_the_same_in_the_contract_and_in_the_code() -> None:
    assert rules(trigger_pb2.Device.DESCRIPTOR, "token").string.max_len == MAX_TOKEN
    assert rules(trigger_pb2.Recipient.DESCRIPTOR, "addresses").map.values.string.max_len == MAX_CHARACTERS
    assert rules(campaign_pb2.WebhookContent.DESCRIPTOR, "url").string.max_len == MAX_CHARACTERS
    channels = {channel.value for channel in Channel}
    assert set(getattr(rules(trigger_pb2.Recipient.DESCRIPTOR, "addresses").map.keys.string, "in")) == channels - {
        "push"
    }
    preview = campaign_service_pb2.PreviewCampaignRequest.DESCRIPTOR
    assert set(getattr(rules(preview, "channel").string, "in")) == channels | {""}
    kinds = campaign_pb2.Content.DESCRIPTOR.oneofs_by_name["kind"].fields
    assert {kind.name for kind in kinds} == channels
    comments = (ROOT / "protos/clarion/v1/campaign.proto").read_text("utf-8")
    assert f"has at most {MAX_SMS_CHARACTERS:,} characters" in comments
    assert f"rendered at most {COLLAPSE_ID_MAX} bytes" in comments
    assert f"At most {PAYLOAD_MAX:,}" in comments
    assert f"At most {MAX_BODY_BYTES // 1024} KiB" in comments
    assert f"and {MAX_BODY_DEPTH} levels" in comments


def test_limits_are_the_same_in_the_contract_and_in_the_code() -> None:
    create = trigger_service_pb2.CreateTriggerRequest.DESCRIPTOR
    assert rules(create, "recipients").repeated.max_items == MAX_RECIPIENTS
    text = (ROOT / "protos/clarion/v1/campaign_service.proto").read_text("utf-8")
    assert f"Campaigns a page; 0: {DEFAULT_SIZE}; more than {MAX_SIZE} is taken as {MAX_SIZE}." in text
    policy, comments = RetryPolicy(), (ROOT / "protos/clarion/v1/campaign.proto").read_text("utf-8")
    for number in (policy.max_attempts, policy.initial_backoff_s, policy.max_backoff_s, policy.max_age_s):
        assert f"0: the default, {number:,}." in comments


def test_every_call_that_changes_something_takes_a_request_id() -> None:
    for module in (campaign_service_pb2, trigger_service_pb2, worker_service_pb2, suppression_service_pb2):
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                changes = not method.name.startswith(("Get", "List", "Watch", "Preview", "Check"))
                assert ("request_id" in method.input_type.fields_by_name) == changes
                assert ("replayed" in method.output_type.fields_by_name) == changes


def test_every_request_and_answer_is_its_call_s_own() -> None:
    for module in (module for module in FILES if module.DESCRIPTOR.services_by_name):
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                assert method.input_type.name == f"{method.name}Request"
                assert method.output_type.name == f"{method.name}Response"


def test_lists_have_pages_and_names_have_a_rule() -> None:
    for module in FILES:
        for message in descriptors(module.DESCRIPTOR):
            if message.name.startswith("List") and message.name.endswith("Request"):
                assert {"page_size", "page_token"} <= set(message.fields_by_name)
            if message.name.endswith("Request") and "name" in message.fields_by_name:
                assert rules(message, "name").string.pattern


Table = tuple[Mapping[Any, int], Iterable[Enum], EnumDescriptor, set[str]]
UNUSED = {"STATE_UNSPECIFIED"}
TABLES: dict[str, Table] = {
    "campaign states": (convert_campaign.STATES, CampaignState, campaign_pb2.Campaign.State.DESCRIPTOR, UNUSED),
    "categories": (
        convert_campaign.CATEGORIES,
        Category,
        campaign_pb2.Campaign.Category.DESCRIPTOR,
        {"CATEGORY_UNSPECIFIED"},
    ),
    "policies": (
        convert_campaign.POLICIES,
        AmbiguityPolicy,
        campaign_pb2.Campaign.AmbiguityPolicy.DESCRIPTOR,
        {"AMBIGUITY_POLICY_UNSPECIFIED"},
    ),
    "field types": (
        convert_campaign.TYPES,
        FieldType,
        campaign_pb2.ContextField.Type.DESCRIPTOR,
        {"TYPE_UNSPECIFIED"},
    ),
    "platforms": (
        convert_trigger.PLATFORMS,
        PLATFORMS,
        trigger_pb2.Device.Platform.DESCRIPTOR,
        {"PLATFORM_UNSPECIFIED"},
    ),
    "push priorities": (
        convert_content.PRIORITIES,
        PushPriority,
        campaign_pb2.PushContent.Priority.DESCRIPTOR,
        {"PRIORITY_UNSPECIFIED"},
    ),
    "trigger states": (
        convert_trigger.STATES,
        TriggerState,
        trigger_pb2.Trigger.State.DESCRIPTOR,
        UNUSED | {"STATE_SCHEDULED", "STATE_EXPANDING"},
    ),
    "delivery states": (
        convert_trigger.DELIVERY_STATES,
        DeliveryState,
        delivery_pb2.Delivery.State.DESCRIPTOR,
        UNUSED,
    ),
    "worker states": (convert_worker.WORKER_STATES, WorkerState, worker_pb2.Worker.State.DESCRIPTOR, UNUSED),
    "batch states": (convert_worker.BATCH_STATES, BatchState, worker_pb2.Batch.State.DESCRIPTOR, UNUSED),
    "error classes": (
        convert_trigger.ERROR_CLASS_NUMBERS,
        ErrorClass,
        delivery_pb2.Delivery.ErrorClass.DESCRIPTOR,
        {"ERROR_CLASS_UNSPECIFIED"},
    ),
    "suppression reasons": (
        convert_suppression.SUPPRESSION_REASONS,
        SuppressionReason,
        suppression_pb2.Suppression.Reason.DESCRIPTOR,
        {"REASON_UNSPECIFIED"},
    ),
    "reasons": (convert_trigger.REASONS, Reason, delivery_pb2.Delivery.Reason.DESCRIPTOR, set()),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_value_of_the_domain_has_one_in_the_contract_and_the_other_way_round(name: str) -> None:
    table, domain, contract, unused = TABLES[name]
    assert set(table) == set(domain)
    shown = {contract.values_by_number[number].name for number in table.values()}
    assert shown == set(contract.values_by_name) - unused
    for value, number in table.items():
        # shown as RUNNING, as UNSPECIFIED, as WEB
        if value not in (TriggerState.CANCELLING, Reason.NONE, Medium.WEB_PUSH):
            assert contract.values_by_number[number].name.endswith(f"_{value.name}")


@pytest.mark.parametrize("message", [campaign_pb2.Campaign.Counts, trigger_pb2.DeliveryCounts])
def test_an_account_has_the_same_parts_in_the_contract_and_in_the_domain(message: Any) -> None:
    assert set(message.DESCRIPTOR.fields_by_name) - {"refused"} == set(Counts.__dataclass_fields__)


def test_comments_name_reasons_that_exist() -> None:
    reasons = {name.removeprefix("ERROR_REASON_") for name in error_reason_pb2.ErrorReason.DESCRIPTOR.values_by_name}
    for path in (ROOT / "protos/clarion/v1").glob("*_service.proto"):
        comments = " ".join(re.findall(r"// (.*)", path.read_text("utf-8")))
        words = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", comments))
        codes = {"NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION", "INVALID_ARGUMENT", "OUT_OF_RANGE"}
        assert words - codes - {"RESOURCE_EXHAUSTED"} <= reasons
