"""Stages of scenarios against a server that notes what it receives."""

import itertools
import re
import socket
import struct
import threading
import time
from collections import Counter

from runner.core.template import Position
from runner.load.merge import merged
from runner.load.rendering import Value
from runner.load.scenario_loop import ScenarioLoop
from runner.load.scenario_order import RequestStep, ScenarioOrder, WorkerScenario
from runner.load.scenario_part import request_steps
from runner.load.worker import _arrivals
from tests.load.orders import order, request

MS = 1_000_000
_REFERENCE = re.compile(rb"\$\{(\w+)(?:\.([\w.]+))?(?::(\w+))?\}")


class Steps:
    """Makes steps with requests, which are numbered as they are made."""

    def __init__(self) -> None:
        self.requests = []

    def send(
        self, path, *extracts, method="GET", name="", headers="", body="", resend=True, **keys
    ) -> RequestStep:
        """Return a step that sends a request; ``${name.part:position}`` inserts an extracted value."""
        length = f"Content-Length: {len(body)}\r\n" if body or method == "POST" else ""
        content = f"{method} {path} HTTP/1.1\r\nHost: here\r\n{headers}{length}\r\n{body}".encode()
        changes = (
            {"content": content} if b"${" not in content else {"content": b"", "pieces": _pieces(content)}
        )
        of_request = {key: keys.pop(key) for key in ("checks",) if key in keys}
        self.requests.append(request(**changes, resend=resend and method != "POST", **of_request))
        number = len(self.requests) - 1
        return RequestStep(name or f"s{number}", number, extracts=extracts, **keys)


def _pieces(content: bytes) -> tuple:
    pieces, at = [], 0
    for found in _REFERENCE.finditer(content):
        position = Position((found[3] or b"body").decode())
        pieces += [
            content[at : found.start()],
            Value(found[1].decode(), (found[2] or b"").decode(), position),
        ]
        at = found.end()
    return (*pieces, content[at:])


class Outcome:
    """What happened to users and requests, which add up."""

    def __init__(self, loop, seconds) -> None:
        self.loop, self.seconds = loop, seconds
        self.users = {
            name: _sums(second.scenarios[name] for second in seconds) for name in seconds[0].scenarios
        }
        self.parts = {name: _sums(second.parts[name] for second in seconds) for name in seconds[0].parts}
        self.whole = _sums(seconds)
        self.samples = [sample for second in seconds for sample in second.samples]
        self.check()

    def check(self) -> None:
        assert self.loop.exchange.in_flight == self.loop.exchange.requests_in_flight == 0
        assert set(self.loop.exchange.users_in_flight) == {0}
        for users in self.users.values():
            assert users["scheduled"] == users["sent"] + users["dropped"]
            assert users["sent"] == users["succeeded"] + users["failed"].total()
        for part in (*self.parts.values(), self.whole):
            assert part["scheduled"] == part["sent"] == part["succeeded"] + part["failed"].total()
        for count in ("scheduled", "succeeded", "failed", "completed"):
            assert _sum(part[count] for part in self.parts.values()) == self.whole[count]
        ended = Counter(_sum(users["failed"] for users in self.users.values()))
        unfinished = ended.pop("unfinished", 0)
        assert ended.total() <= self.whole["failed"].total() <= ended.total() + unfinished
        for second in self.seconds:
            for users in second.scenarios.values():
                assert users.response_time.count == users.succeeded

    @property
    def failures(self) -> dict[str, int]:
        return dict(self.whole["failed"])


def _sums(seconds) -> dict:
    seconds = list(seconds)
    sums = {
        name: sum(getattr(second, name) for second in seconds)
        for name in ("scheduled", "sent", "succeeded", "dropped", "completed")
    }
    return sums | {"failed": _sum(Counter(second.failures) for second in seconds)}


def _sum(counts):
    counts = list(counts)
    return sum(counts[1:], start=counts[0])


def offered(port: int, scenarios, steps: Steps, **changes) -> Outcome:
    """Offer a stage and return what happened; see `loop_of`."""
    loop, seconds = loop_of(port, scenarios, steps, **changes)
    loop.run(time.monotonic_ns() + 10 * MS, lambda: False)
    loop.close()
    return Outcome(loop, seconds)


def loop_of(port: int, scenarios, steps: Steps, *, hosts=(), per_user=False, scheme="http", **changes):
    """Return the loop of a stage, and a list for its seconds; `scenarios` may be the steps of one."""
    if not isinstance(scenarios[0], WorkerScenario):
        scenarios = (WorkerScenario("visit", 1.0, tuple(scenarios)),)
    names = [f"{one.name}/{step.name}" for one in scenarios for step in request_steps(one.steps)]
    described = ScenarioOrder(tuple(scenarios), scheme, "127.0.0.1", port, hosts=hosts, per_user=per_user)
    stage = order(port, requests=tuple(steps.requests), scenarios=described, **({"duration": 0.1} | changes))
    seconds = []

    def emit(tally) -> None:
        users = loop.exchange.users_in_flight
        message = tally.message(cpu_s=0, in_flight=0, users_in_flight=users)
        seconds.append(merged([message], names, [one.name for one in scenarios]))

    loop = ScenarioLoop(stage, iter(()) if stage.most_users else _arrivals(stage), emit)
    return loop, seconds


class Server:
    """Answers by path, and notes method, target, headers, body and connection of all requests."""

    def __init__(self, answers=()) -> None:
        self.answers = dict(answers)
        self.log, self.connections = [], set()
        self._number, self._lock = itertools.count(1), threading.Lock()

    def __call__(self, client: socket.socket, received: bytes) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head, _, body = received.partition(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        method, target, _ = line.split(" ")
        headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
        with self._lock:
            number = next(self._number)
            self.log.append((method, target, headers, body))
            self.connections.add(client.getpeername())
        answer = self.answers.get(target.partition("?")[0], b"")
        content = answer(number) if callable(answer) else answer
        if content == CUT:
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf")
            client.shutdown(socket.SHUT_WR)
        elif content == RESET:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        elif content != SILENT:
            client.sendall(content or ok())

    def received(self, *keys):
        """Return method and target of all requests, or their headers of some names."""
        if keys:
            return [tuple(headers.get(key) for key in keys) for _, _, headers, _ in self.log]
        return [f"{method} {target}" for method, target, _, _ in self.log]


CUT, RESET, SILENT = b"cut", b"reset", b"silent"


def ok(body: str = "hello", *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body.encode())}", *headers]
    return ("\r\n".join(lines) + f"\r\n\r\n{body}").encode()


def to(location: str, *headers: str, status: str = "302 Found", body: str = "") -> bytes:
    return ok(body, f"Location: {location}", *headers, status=status)
