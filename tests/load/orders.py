"""Orders as the engine sends them to its workers."""

import socket

from runner.load.worker_order import WorkerOrder


def order(port: int, **changes) -> WorkerOrder:
    """Return an order of a few requests in 0.4 s to a port of this host, with changed fields."""
    fields = {
        "family": int(socket.AF_INET),
        "address": ("127.0.0.1", port),
        "request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "head": False,
        "status": (200,),
        "body_contains": b"",
        "new_connections": False,
        "rate": 50.0,
        "warmup": 0.0,
        "duration": 0.4,
        "poisson": False,
        "seed": 1,
        "worker": 0,
        "workers": 1,
        "max_in_flight": 100,
        "when_full": "drop",
        "timeout": 5.0,
        "quantum_ns": 0,
    }
    return WorkerOrder(**(fields | changes))
