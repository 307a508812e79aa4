"""What a person can do about an error."""

from __future__ import annotations

from collections.abc import Mapping

from clarion_client import errors
from clarion_client.names import short_name

_BY_REASON: Mapping[str, str] = {
    "CONTEXT_INVALID": "give what the campaign declares; `clarion campaigns get` lists it",
    "RECIPIENTS_REFUSED": "correct the recipients above; nothing was stored",
    "CAMPAIGN_NOT_FOUND": "`clarion campaigns list` shows the campaigns of this workspace",
    "TRIGGER_NOT_FOUND": "`clarion triggers list CAMPAIGN` shows what is kept",
    "DELIVERY_NOT_FOUND": "`clarion deliveries list TRIGGER` shows what is kept",
    "CHANNEL_CONFIGURATION_NOT_FOUND": "`clarion channels list` shows those of this workspace",
    "CHANNEL_CONFIGURATION_EXISTS": "choose another id, or update it with `clarion channels apply`",
    "CHANNEL_CONFIGURATION_IN_USE": "have the campaign name another one, or stop it",
    "PROVIDER_NOT_FOUND": "`clarion channels show` shows the providers of one",
    "NO_WORKER": "start one (make up); `clarion workers` shows those that are there",
    "CAMPAIGN_EXISTS": "choose another id, or update the campaign with `clarion apply`",
    "REQUEST_ID_REUSED": "send the same content, or another request id",
    "CAMPAIGN_STATE": "`clarion campaigns get` shows the state",
    "TRIGGER_STATE": "nothing: it is finished; `clarion triggers get` shows what became of it",
    "ETAG_MISMATCH": "look at the campaign again, then repeat",
    "CONCURRENT_CHANGE": "repeat the command",
    "OVERLOADED": "try again in a moment",
    "STORE_FULL": "make room in the store, or wait until finished triggers run out",
    "STORE_UNAVAILABLE": "see whether the server's Redis runs, then repeat the command",
    "WORKER_NOT_FOUND": "`clarion workers` shows those that are there",
    "LANE_NOT_FOUND": "`clarion workers lanes` shows the lanes",
    "THROTTLE_NOT_FOUND": "nothing: the configured limit holds; `clarion workers throttle list` shows what is set",
    "DRAINING": "repeat the command when the server is back",
}

_BY_CLASS: Mapping[type[errors.ClarionError], str] = {
    errors.Unavailable: "start one (make up), or name it: --server / CLARION_SERVER",
    errors.DeadlineExceeded: "it may have taken effect: look first, then repeat; --timeout allows more",
    errors.Internal: "report it, with the server's log lines of that id",
}

_BY_COMMAND_AND_STATE: Mapping[tuple[str, str], str] = {
    ("activate", "LIVE"): "nothing: it is LIVE already",
    ("activate", "PAUSED"): "resume it: clarion campaigns resume {name}",
    ("pause", "DRAFT"): "nothing: a DRAFT sends nothing",
    ("pause", "PAUSED"): "nothing: it is PAUSED already",
    ("resume", "DRAFT"): "activate it: clarion campaigns activate {name}",
    ("resume", "LIVE"): "nothing: it is LIVE already",
    ("stop", "DRAFT"): "nothing: a DRAFT sends nothing; clarion campaigns delete {name} removes it",
    ("stop", "STOPPED"): "nothing: it is STOPPED already",
    ("trigger", "DRAFT"): "activate it: clarion campaigns activate {name}",
    ("trigger", "PAUSED"): "resume it: clarion campaigns resume {name}",
    ("redrive", "DRAFT"): "activate it: clarion campaigns activate {name}",
    (
        "redrive",
        "STOPPED",
    ): "nothing: what it owes is not sent any more; clarion dead-letters discard {name} clears the list",
    ("delete", "LIVE"): "stop it first: clarion campaigns stop {name}",
    ("delete", "PAUSED"): "stop it first: clarion campaigns stop {name}",
}
_FINAL = "STOPPED is final: create another campaign"


def to_do(error: errors.ClarionError, command: str) -> str:
    """What would help the command that met this error; empty where nobody knows."""
    if error.reason == "CAMPAIGN_STATE":
        state, name = error.metadata.get("state", ""), short_name(error.metadata.get("resource", "CAMPAIGN"))
        hint = _BY_COMMAND_AND_STATE.get((command, state)) or (_FINAL if state == "STOPPED" else "")
        if hint:
            return hint.format(name=name)
    return _BY_REASON.get(error.reason) or _BY_CLASS.get(type(error), "")
