"""The Python client of Clarion.

    async with clarion_client.connect() as clarion:
        answer = await clarion.create_trigger(
            "order-confirmation",
            [{"user_id": "7", "addresses": {"email": "ana@example.com"}}],
            {"order_id": "A-1001"},
        )
        async for step in clarion.watch_trigger(answer.trigger.name):
            ...

Resources are the contract's own messages (`clarion.v1`). Errors are typed, see `clarion_client.errors`.
"""

from clarion_client.client import Clarion, connect
from clarion_client.dead_letters import DeadLetterFilter, Redriven
from clarion_client.errors import (
    REASONS,
    Aborted,
    AlreadyExists,
    ClarionError,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    OutOfRange,
    ResourceExhausted,
    Unavailable,
    Violation,
)
from clarion_client.names import (
    campaign_name,
    configuration_name,
    delivery_name,
    lane_name,
    short_name,
    trigger_name,
    worker_name,
)
from clarion_client.retry import RetryConfig
from clarion_client.suppressions import list_target
from clarion_client.values import JsonLike, RecipientLike

__all__ = [
    "REASONS",
    "Aborted",
    "AlreadyExists",
    "Clarion",
    "ClarionError",
    "DeadLetterFilter",
    "DeadlineExceeded",
    "FailedPrecondition",
    "Internal",
    "InvalidArgument",
    "JsonLike",
    "NotFound",
    "OutOfRange",
    "RecipientLike",
    "Redriven",
    "ResourceExhausted",
    "RetryConfig",
    "Unavailable",
    "Violation",
    "campaign_name",
    "configuration_name",
    "connect",
    "delivery_name",
    "lane_name",
    "list_target",
    "short_name",
    "trigger_name",
    "worker_name",
]
