"""Queues every order of a file, a line each, a hundred in a round trip: `python produce.py orders.jsonl`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from post_office import app, send_order

A_TRIP = 100


def main() -> None:
    """Say when the first one is queued, on the monotonic clock, and what queueing all of them took."""
    orders = [json.loads(line) for line in Path(sys.argv[1]).read_text("utf-8").splitlines()]
    with app.producer_pool.acquire(block=True) as producer:
        producer.connection.ensure_connection()
        print(json.dumps({"started": time.monotonic()}), flush=True)  # noqa: T201
        before = time.process_time()
        with producer.batch(max_size=A_TRIP):
            for order in orders:
                send_order.apply_async((order,), producer=producer)
    print(json.dumps({"queued": len(orders), "cpu_s": time.process_time() - before}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
