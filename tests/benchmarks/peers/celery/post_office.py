"""The Celery application: one task a mail, settings as Celery's own guides advise for many short tasks.

    celery -A post_office worker --pool prefork --concurrency 2

- late acknowledgement, and a task whose process died is delivered again: no mail is lost ("Tasks", `acks_late`);
- a large prefetch multiplier ("Optimizing", Prefetch Limits: "values like 50 or 150 … say 64, or 128");
- results ignored, no result backend ("Tasks", Ignore results you don't want);
- no rate limits and no events, which nobody here reads ("Tasks", Disable rate limits);
- failures of the mail server are retried with exponential backoff ("Tasks", Automatic retry).

Not `chunks`: a task of a hundred mails would send all of them again when its process died in the middle.
"""

from __future__ import annotations

import os
import smtplib
import sys
from typing import Any

from celery import Celery
from celery.signals import worker_process_init, worker_ready
from mail import message_of

app = Celery("post_office", broker=f"redis+socket://{os.environ['PEER_REDIS_SOCKET']}")
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=128,
    worker_disable_rate_limits=True,
    worker_redirect_stdouts=False,  # so that `ready` stands alone on its line
)


class Mailer:
    """One kept connection to the mail server; a new one where it was lost."""

    def __init__(self) -> None:
        self._connection: smtplib.SMTP | None = None

    def send(self, order: dict[str, Any]) -> None:
        """Send the mail for one order."""
        message = message_of(order)
        try:
            self._connected().send_message(message)
        except smtplib.SMTPServerDisconnected:
            self._connection = None
            self._connected().send_message(message)

    def _connected(self) -> smtplib.SMTP:
        if self._connection is None:
            self._connection = smtplib.SMTP("127.0.0.1", int(os.environ["PEER_SMTP_PORT"]), "localhost", timeout=60)
        return self._connection


mailer = Mailer()


@app.task(autoretry_for=(smtplib.SMTPException, OSError), retry_backoff=True, max_retries=8)
def send_order(order: dict[str, Any]) -> None:
    """Send the mail for one order."""
    mailer.send(order)


@worker_process_init.connect
def connect(**_: object) -> None:
    """Every process of the pool has a connection of its own."""
    global mailer
    mailer = Mailer()


@worker_ready.connect
def say_ready(**_: object) -> None:
    """Tell the benchmark that tasks are taken."""
    print('{"event": "ready"}', file=sys.__stdout__, flush=True)
