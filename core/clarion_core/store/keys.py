"""Every key of the store and its lifetime. Nothing else in Clarion writes a key by hand.

A key is `clarion:{shard}:kind:id`. The braces make everything of a shard one hash slot, so that a function can change
it in one step also on a Redis Cluster; `{control}` holds what is not per shard. arq's own keys (`arq:job:…`,
`arq:in-progress:…`, `arq:retry:…`) carry the shard in the job id.
"""

from __future__ import annotations

from clarion_core.domain.medium import LETTERS
from clarion_core.domain.suppression import COUNTED_MS, COUNTER_KEPT_MS

CONTROL = "control"
PAGE = 100  # deliveries a page, and a batch, at most

#       kind          prefix     what it is                                              lifetime
KINDS = {
    "trigger": "t:",  # hash    account of a trigger: state, placement, counts          retention after its end
    "head": "h:",  # string     what a trigger was accepted with, msgpack               as its trigger
    "index": "i:",  # zset      triggers of a campaign by time of acceptance            entries: as their trigger
    "ended": "ended",  # zset    ended triggers by when their lifetime is over           entries: as their trigger
    "payload": "p:",  # hash    recipients of a page, by segment offset:count:trigger   retention after the last end
    "ledger": "l:",  # hash     a page's deliveries, one compact record each            as its payload
    "batch": "b:",  # hash      open batch: lease, epoch, members                       until all of it is settled
    "open": "open",  # zset     open batches by the time of the sweep's next look       entries: as their batch
    "parked": "k:",  # set      batches that wait for a paused campaign                 until resumed or stopped
    "held": "held",  # set      triggers that have deliveries in no batch, paused         until given out again
    "terms": "a:",  # hash      what batches of a trigger's waiting deliveries are like  until the trigger's end
    "turns": "tn:",  # hash     the line each delivery of an ordering key stands in      as its payload
    "line": "o:",  # list       deliveries of an ordering key and recipient, in order    entries: until they end
    "expiring": "exp",  # zset   triggers by when they expire                            until they end
    "dead": "dl:",  # zset      triggers of a campaign with dead letters, by time        entries: as their trigger
    "discarded": "dd:",  # hash  dead letters discarded: time and reason                 as its payload
    "facts": "f:",  # hash      what was heard of a page's deliveries, and ids of theirs  as its payload
    "sent_as": "sa:",  # string  the delivery that a provider has under an id            SENT_AS_TTL_MS
    "early": "er:",  # list     facts of an id that no delivery has yet, EARLY_MAX       EARLY_TTL_MS after the last
    "serial": "serial",  # string  counts batches made for what waited                   for good: one a shard
    "throttle": "th:",  # hash  permits taken of a limit, and slots booked                an hour after the last
    "queue": "q:",  # zset      arq's queue of what a lane sends by a via, by due time  entries: as their batch
    "queues": "qs:",  # set     vias that a lane has something to send by               entries: as their queue
    "wake": "w:",  # list       wake tokens of a queue, or a lane's medium, WAKE_MAX    until taken
    "gate": "g:",  # hash       state and revision of a campaign, for this shard        as its campaign, then 60 days
    "counts": "n:",  # hash     deliveries of a campaign by state                       for good: one a campaign
    "events": "ev",  # stream   moves of deliveries, one entry a call                   EVENTS_MAX entries, 1 hour
    "beat": "beat",  # string   when a worker last gave a sign of life                  for good: one a shard
    "grace": "grace",  # string nobody takes over before this time                      a lease
    "sweeper": "sweeper",  # string  the worker that sweeps now                         seconds
    "configuration": "cf:",  # hash  a channel configuration: record, version, versions   until deleted, then 60 days
    "configurations": "cfi:",  # zset  ids of a workspace's channel configurations      entries: as their configuration
    "configured": "cfs",  # set  channel configurations of all workspaces                entries: as their configuration
    "configuring": "cfn",  # string  counts changes of channel configurations            for good
    "tests": "ct",  # list      tests of channel configurations that were asked for      a minute
    "tested": "ctd:",  # list   what a worker found in a test                            a minute
    "campaign": "c:",  # hash   a campaign's record and version                         until deleted, then 60 days
    "campaigns": "ci:",  # zset campaign ids of a workspace, in order                   entries: as their campaign
    "revision": "r:",  # string a campaign's definition as of one revision, msgpack     60 days after last needed
    "files": "rf:",  # string   the files of a revision by their hashes, msgpack         as its revision
    "seeded": "sd:",  # set     configurations whose seeds had a revision                 as its revision
    "dirty": "dirty",  # set    changes of campaigns that gates may not know            until they do
    "breaker": "br:",  # string a provider's breaker and health, msgpack                a day after the last report
    "request": "rq:",  # hash   answer of a call with a request id                      24 hours
    "accounts": "accounts",  # set  campaigns that are there, or have an account        for good: one a campaign
    "worker": "wk:",  # hash    a worker's last sign of life                            WORKER_TTL_MS after it
    "workers": "workers",  # zset   ids of workers by their last sign of life           entries: as their worker
    "drain": "dr:",  # string   a worker was told to end                                until it has, 1 day
    "paused": "paused",  # set  lanes that nobody takes from                            until resumed
    "throttles": "throttles",  # hash   limits set at runtime, "rate burst"             until cleared
    "recounts": "recounts",  # hash     triggers recounted: how many were right         for good
    "list": "sl:",  # hash      a suppression or allow list: entries, buckets, active   until empty and not active
    "listed": "se:",  # hash    a bucket of a list's entries                            entries: as they say
    "lists": "lists",  # set    lists that are there                                    entries: as their list
    "meta": "meta",  # hash     number of shards, format of the records                 for good
}

DAY_MS = 86_400_000
LIMITS = {
    "PAGE": PAGE,
    "JOB_TTL_MS": 30 * DAY_MS,  # arq's job key; the sweep makes a new one should it ever pass
    "WAKE_MAX": 64,
    "EVENTS_MAX": 20_000,
    "STAGED_TTL_MS": 600_000,  # pages of a large trigger that was never accepted
    "REQUEST_TTL_MS": DAY_MS,
    "REVISION_TTL_MS": 60 * DAY_MS,
    "BREAKER_TTL_MS": DAY_MS,
    "LOOK_MS": 2_000,  # after a lease or due time passed, the sweep looks whether the batch went on
    "WAITING_LOOK_MS": 10_000,  # a batch that waits in its queue is looked at this often
    "PARKED_LOOK_MS": 10_000,
    "SENT_AS_TTL_MS": 4 * DAY_MS,  # carriers give up a text message after 3 days at the latest
    "EARLY_TTL_MS": 3_600_000,
    "EARLY_MAX": 8,
    "THROTTLE_TTL_MS": 3_600_000,
    "SLOT_LOOK_MS": 15_000,  # a batch that waits for permits looks this often whether what it waits for is gone
    "LEASE_MAX_MS": 300_000,  # the longest lease a worker can be told
    "WORKER_TTL_MS": 30_000,
    "BUCKET": 24,  # entries a bucket of a list on average, at most
    "SOFT_APART_S": COUNTED_MS // 1000,
    "SOFT_KEPT_S": COUNTER_KEPT_MS // 1000,
    "CLOCKS_DIFFER_MS": 2_000,  # a worker's clock may be behind the store's by this much and find new work at once
}


def key(shard: int | str, kind: str, record: str = "") -> str:
    """The key of a record. `shard` is a number, or CONTROL."""
    return f"clarion:{{{shard}}}:{KINDS[kind]}{record}"


def queue_of(lane: str, via: str) -> str:
    """The queue of a lane's batches that leave by a via, `medium/workspace/configuration`."""
    return f"{lane}.{via}"


def lua_header() -> str:
    """The same names for the Lua functions."""
    kinds = ", ".join(f"{kind} = '{prefix}'" for kind, prefix in KINDS.items())
    limits = "\n".join(f"local {name} = {value}" for name, value in LIMITS.items())
    letters = ", ".join(f"{medium.value} = '{letter}'" for medium, letter in LETTERS.items())
    return f"local KEY = {{{kinds}}}\nlocal LETTER = {{{letters}}}\nlocal CONTROL = '{CONTROL}'\n{limits}\n"
