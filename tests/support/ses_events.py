"""Events of Amazon SES as its documentation shows them, of a delivery of ours."""

from __future__ import annotations

import json
from typing import Any


def event(kind: str, of: str, *, notification: bool = False, **part: Any) -> str:
    """An event with its part; `notification`: in the older form, without tags."""
    mail: dict[str, Any] = {
        "timestamp": "2025-01-20T10:00:00.000Z",
        "source": "shop@example.com",
        "messageId": "0100018c-0000",
        "destination": ["user-0@example.com"],
    }
    if notification:
        mail["headers"] = [
            {"name": "From", "value": "shop@example.com"},
            {"name": "Message-ID", "value": f"<{of}@clarion.invalid>"},
        ]
        return json.dumps({"notificationType": kind, "mail": mail, **part})
    mail["tags"] = {"ses:configuration-set": ["clarion"], "clarion-delivery": [of]}
    return json.dumps({"eventType": kind, "mail": mail, **part})


def bounce(delivery: str, kind: str = "Permanent", subtype: str = "General", status: str = "5.1.1", **more: Any) -> str:
    """A bounce."""
    part = {
        "bounceType": kind,
        "bounceSubType": subtype,
        "bouncedRecipients": [
            {
                "emailAddress": "user-0@example.com",
                "action": "failed",
                "status": status,
                "diagnosticCode": f"smtp; 550 {status} user unknown",
            }
        ],
        "timestamp": "2025-01-20T10:00:05.000Z",
        "feedbackId": "0100018c-1111",
        "reportingMTA": "dns; a8-70.smtp-out.amazonses.com",
    }
    return event("Bounce", delivery, bounce=part, **more)


def delivered(delivery: str, **more: Any) -> str:
    """It arrived."""
    part = {"timestamp": "2025-01-20T10:00:02.000Z", "smtpResponse": "250 2.6.0 Message received"}
    return event("Delivery", delivery, delivery=part, **more)


def complaint(delivery: str, kind: str = "abuse", **more: Any) -> str:
    """Somebody calls it spam."""
    part = {
        "complaintFeedbackType": kind,
        "arrivalDate": "2025-01-20T11:00:00.000Z",
        "timestamp": "2025-01-20T11:00:09.000Z",
        "complainedRecipients": [{"emailAddress": "user-0@example.com"}],
    }
    return event("Complaint", delivery, complaint=part, **more)
