"""Receives webhooks: verifies each one, and works on each once.

WEBHOOK_SECRET=whsec_… python receive.py [PORT]        pip install standardwebhooks

It listens on this machine alone. Clarion calls https addresses, so put what speaks TLS in front of it.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

WEBHOOK = Webhook(os.environ["WEBHOOK_SECRET"])
MAX_BYTES = 262_144
seen: set[str] = set()  # in earnest: a table with a unique column, written in the transaction that does the work


class Receiver(BaseHTTPRequestHandler):
    """Answers 2xx for what it has, 401 for what is not signed, and anything else to be called again later."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Take one call."""
        size = int(self.headers.get("Content-Length", 0))
        if size > MAX_BYTES:
            self.close_connection = True
            return self.answer(413)
        body = self.rfile.read(size)  # the very bytes: JSON that was parsed and written again is another text
        try:
            event = WEBHOOK.verify(body, dict(self.headers))
        except WebhookVerificationError:
            return self.answer(401)
        webhook_id = self.headers["webhook-id"]
        if webhook_id not in seen:  # a call whose answer got lost comes again, under the same id
            print(f"{webhook_id} {event}", flush=True)
            seen.add(webhook_id)
        return self.answer(204)

    def answer(self, status: int) -> None:
        """A status, and no body."""
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing of requests."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8080), Receiver)
    print(f"listening on {server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit(130)
