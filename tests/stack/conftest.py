"""Shared by the tests of stacks: a context, and small commands to start as the app."""

import sys
import time
from pathlib import Path

import pytest
import trio

from runner.experiment.model import App, ProcessTopology
from runner.stack.protocols import StackContext
from runner.stack.reaper import run_processes


class RecordingGuard:
    """Records what a watchdog would guard."""

    def __init__(self) -> None:
        self.guarded: set[int] = set()

    def process(self, pid: int) -> None:
        self.guarded.add(pid)

    def forget(self, pid: int) -> None:
        self.guarded.discard(pid)

    def docker(self, base_url: str) -> None:
        raise AssertionError(base_url)

    def docker_emptied(self, base_url: str) -> None:
        raise AssertionError(base_url)


RUN_IDS = (f"test-{time.time_ns():x}-{n}" for n in range(1_000_000))


@pytest.fixture
def run_id():
    """A unique run id; the test fails if a process of that run is left."""
    unique = next(RUN_IDS)
    yield unique
    assert run_processes(unique) == set()


@pytest.fixture
def ctx(run_id, tmp_path):
    return StackContext(
        run_id=run_id,
        name="test",
        base_dir=Path.cwd(),
        scratch=tmp_path,
        guard=RecordingGuard(),
        say=lambda _: None,
    )


@pytest.fixture
def enough_memory(monkeypatch):
    """The host has killed nothing: tests beside these let containers run out of theirs."""
    monkeypatch.setattr("runner.stack.diagnosis.oom_kills", lambda: 0)


HTTP = """
import http.server, os, signal, subprocess, sys, threading, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/healthz" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_): pass
def serve(port, host="127.0.0.1"):
    http.server.ThreadingHTTPServer((host, int(port)), Handler).serve_forever()
port = sys.argv[1]
"""


def python(code: str, *arguments: str) -> tuple[str, ...]:
    """Return a command that runs Python code, in which `serve(port)` serves the health URL."""
    return (sys.executable, "-c", HTTP + code, *(arguments or ("{port}",)))


def topology(command, **app) -> ProcessTopology:
    return ProcessTopology(kind="process", app=App(command=command, **({"ready_within": "10s"} | app)))


async def eventually(condition, within: float = 10) -> None:
    """Wait until the condition is true."""
    with trio.fail_after(within):
        while not condition():  # noqa: ASYNC110  (the condition is outside this process)
            await trio.sleep(0.02)
