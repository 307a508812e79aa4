"""Workers, lanes, batches and throttles between the contract and the domain."""

from __future__ import annotations

from clarion.v1 import worker_pb2
from clarion_core.domain.worker import BatchState, Lane, OpenBatch, Subject, Throttle, ThrottleKind, Worker, WorkerState
from clarion_server.convert_trigger import timestamp

WORKER_STATES = {state: worker_pb2.Worker.State.Value(f"STATE_{state.name}") for state in WorkerState}
_COLLECTIONS = {
    "campaigns": ThrottleKind.CAMPAIGN,
    "channels": ThrottleKind.CHANNEL,
    "channelConfigurations": ThrottleKind.CONFIGURATION,
}
BATCH_STATES = {state: worker_pb2.Batch.State.Value(f"STATE_{state.name}") for state in BatchState}


def from_worker(worker: Worker) -> worker_pb2.Worker:
    """A worker as the contract shows it."""
    identity, load = worker.identity, worker.load
    return worker_pb2.Worker(
        name=f"workers/{identity.id}",
        state=WORKER_STATES[worker.state],
        host=identity.host,
        pid=identity.pid,
        version=identity.version,
        lanes=[f"lanes/{lane}" for lane in identity.lanes],
        deliveries_in_flight=load.deliveries,
        batches_in_hand=load.batches,
        rate_per_s=load.rate_per_s,
        start_time=timestamp(worker.start_ms),
        heartbeat_time=timestamp(worker.heartbeat_ms),
        heartbeat_age_s=worker.heartbeat_age_ms / 1000,
    )


def from_lane(lane: Lane) -> worker_pb2.Lane:
    """A lane as the contract shows it."""
    return worker_pb2.Lane(
        name=f"lanes/{lane.id}",
        paused=lane.paused,
        batches_waiting=lane.waiting,
        batches_due=lane.due,
        batches_in_hand=lane.in_hand,
        oldest_due_age_s=lane.oldest_due_age_ms / 1000,
    )


def from_batch(batch: OpenBatch) -> worker_pb2.Batch:
    """An open batch as the contract shows it."""
    workspace, _, campaign_id = batch.campaign.partition("/")
    return worker_pb2.Batch(
        id=batch.id,
        shard=batch.shard,
        state=BATCH_STATES[batch.state],
        workspace=workspace,
        campaign=f"campaigns/{campaign_id}",
        lane=f"lanes/{batch.lane}",
        epoch=batch.epoch,
        worker=f"workers/{batch.worker}" if batch.worker else "",
        lease_end_time=timestamp(batch.lease_ms),
        due_time=timestamp(batch.queue_ms or 0) if not batch.lease_ms else None,
        deliveries_open=batch.deliveries,
        crashes=batch.crashes,
    )


def from_throttle(throttle: Throttle) -> worker_pb2.Throttle:
    """A limit as the contract shows it."""
    return worker_pb2.Throttle(
        name=throttle.subject.name,
        workspace=throttle.subject.workspace,
        rate_per_s=throttle.rate_per_s,
        burst=throttle.burst,
    )


def to_subject(name: str, workspace: str) -> Subject:
    """Whom a throttle's name means, in a workspace. Channels are everybody's, and the workers' providers of one."""
    collection, whose, *provider = name.split("/")
    kind = _COLLECTIONS[collection]
    workspace = "" if kind is ThrottleKind.CHANNEL else workspace
    if provider:
        return Subject(kind=ThrottleKind.PROVIDER, id=provider[-1], within=whose, workspace=workspace)
    return Subject(kind=kind, id=whose, workspace=workspace)
