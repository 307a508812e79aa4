"""Mail that comes back, as mail servers and feedback loops write it."""

from __future__ import annotations

POSTFIX = """\
Return-Path: <>
From: MAILER-DAEMON@mx.example.com (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: {to}
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="B1"

This is a MIME-encapsulated message.

--B1
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not be delivered.

--B1
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com
X-Postfix-Queue-ID: 4F1
Arrival-Date: Mon, 20 Jan 2025 11:00:00 +0100 (CET)

Final-Recipient: rfc822; user-0@example.com
Original-Recipient: rfc822;user-0@example.com
Action: {action}
Status: {status}
Remote-MTA: dns; mail.example.com
Diagnostic-Code: smtp; {said}
Last-Attempt-Date: Mon, 20 Jan 2025 11:00:05 +0100

--B1
Content-Description: Undelivered Message
Content-Type: message/rfc822

Message-ID: <x@clarion.invalid>
Subject: Hello

Hello
--B1--
"""

ARF = """\
From: <abuse@isp.example.com>
Date: Mon, 20 Jan 2025 12:00:10 +0000
Subject: FW: Hello
To: <complaints@{domain}>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="B2"

--B2
Content-Type: text/plain; charset=US-ASCII

This is an email abuse report for an email message received on Mon, 20 Jan 2025.

--B2
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 1
Original-Mail-From: <{mail_from}>
Arrival-Date: Mon, 20 Jan 2025 12:00:00 +0000

--B2
Content-Type: message/rfc822

Return-Path: <{return_path}>
Message-ID: <x@clarion.invalid>
Subject: Hello

Hello
--B2--
"""

AUTO_REPLY = """\
From: Ana <user-0@example.com>
To: {to}
Subject: Out of office
Auto-Submitted: auto-replied (vacation)

I am away.
"""

QMAIL = """\
From: MAILER-DAEMON@old.example.com
To: {to}
Subject: failure notice

Hi. This is the qmail-send program at old.example.com.
I'm afraid I wasn't able to deliver your message to the following addresses.

<user-0@example.com>:
Sorry, no mailbox here by that name. (#5.1.1)
"""

READ = """\
From: Ana <user-0@example.com>
To: {to}
MIME-Version: 1.0
Content-Type: multipart/report; report-type=disposition-notification; boundary="B3"

--B3
Content-Type: text/plain

It was displayed.
--B3
Content-Type: message/disposition-notification

Disposition: manual-action/MDN-sent-manually; displayed
--B3--
"""


def wire(text: str, **values: str) -> bytes:
    """As it travels."""
    return text.format(**values).replace("\n", "\r\n").encode()


def report(status: str = "5.1.1", said: str = "550 5.1.1 user unknown", action: str = "failed") -> bytes:
    """A delivery report of Postfix's."""
    return wire(POSTFIX, to="bounce+x@bounces.shop.test", status=status, said=said, action=action)
