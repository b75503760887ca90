"""Orders as the engine sends them to its workers."""

import socket

from runner.load.worker_order import WorkerOrder, WorkerRequest


def request(content: bytes = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", **changes) -> WorkerRequest:
    return WorkerRequest(**({"content": content, "head": False} | changes))


def order(port: int, **changes) -> WorkerOrder:
    """Return an order of a few requests in 0.4 s to a port of this host, with changed fields.

    Fields of a request change the only one.
    """
    of_request = {name: changes.pop(name) for name in WorkerRequest.__struct_fields__ if name in changes}
    fields = {
        "family": int(socket.AF_INET),
        "address": ("127.0.0.1", port),
        "requests": (request(**of_request),),
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
