"""Offers 20 requests that get no response, with ten free local ports; prints the failures."""

import json
import socket

import trio

from runner.core.endpoint import Endpoint
from runner.experiment.model import Load, Stage
from runner.load.builtin import offer
from runner.load.engine import LoadOrder


def main() -> None:
    with socket.create_server(("127.0.0.1", 8080), backlog=100):
        order = LoadOrder(
            Endpoint("127.0.0.1", 8080), Load(timeout="500ms"), Stage(rps=100, duration="200ms")
        )

        async def run():
            return await offer(order, on_spawn=lambda _: None, on_second=lambda _: None)

        seconds = trio.run(run).seconds
    failures: dict[str, int] = {}
    for second in seconds:
        for kind, count in second.failures.items():
            failures[kind] = failures.get(kind, 0) + count
    print(json.dumps(failures, sort_keys=True))


main()
