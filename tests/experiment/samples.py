"""Sample specifications, and helpers to read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.core.errors import SpecificationError
from runner.experiment.load import read_spec
from runner.experiment.model import Configuration, Experiment

MINIMAL = """\
version: 1
name: tiny
topology: {kind: external, url: "http://127.0.0.1:8080"}
stages: [{rps: 10, duration: 1s}]
"""

PROCESS = """\
version: 1
name: one
topology:
  kind: process
  app:
    command: [serve, --port, "{port}"]
load:
  connection: new
stages:
  - {rps: 100, duration: 10s}
"""

DESIGN = """\
version: 1
name: docker-4k
title: Two replicas behind Nginx at 4,000 RPS
objective: Prove horizontal scalability and find what limits it.

topology:
  kind: docker
  app:
    build: app_server
    port: 8080
    health: /healthz
    metrics: /metrics
    env: {APP_WORK_US: "50"}
    cpus: 1.0
    memory: 256MiB
  replicas: 2
  proxy:
    kind: nginx
    keepalive: 0
    workers: auto
  network: bridge
  publish: port

load:
  engine: builtin
  request: {method: GET, path: /session, headers: {}, body: null}
  expect: {status: [200], body_contains: null}
  connection: new
  arrivals: constant
  max_in_flight: 2000
  when_full: drop
  timeout: 10s
  workers: auto
  seed: 1

stages:
  - {rps: 4000, duration: 30s, warmup: 5s}
cooldown: 2s

metrics: {interval: 200ms, peak_window: 1s}

thresholds:
  - duration.p95 < 50ms
  - achieved >= 99%
  - errors < 0.1%
  - cpu.app.avg < 1.5

configurations:
  - name: keep-alive
    load: {connection: keep-alive}
repeats: 1
"""


def read(text: str | bytes, *overrides: str) -> Experiment:
    raw = text.encode() if isinstance(text, str) else text
    return read_spec(raw, source="spec.yaml", overrides=overrides)


def only(text: str, *overrides: str) -> Configuration:
    (configuration,) = read(text, *overrides).configurations
    return configuration


def refusal(text: str | bytes, *overrides: str) -> SpecificationError | None:
    """Return the error, None if there is none."""
    try:
        read(text, *overrides)
    except SpecificationError as caught:
        return caught
    return None


def error(text: str | bytes, *overrides: str) -> SpecificationError:
    caught = refusal(text, *overrides)
    assert caught, "was accepted"
    return caught


def sole(text: str | bytes, *overrides: str) -> str:
    """Return the only problem, rendered."""
    (problem,) = error(text, *overrides).problems
    return problem


def table(name: str) -> list:
    """Return the rows of ``tables/NAME.txt``, each of three lines: title, input, message."""
    content = (Path(__file__).parent / "tables" / f"{name}.txt").read_text(encoding="utf-8")
    rows = [block.split("\n") for block in content.rstrip("\n").split("\n\n")]
    return [pytest.param(text[4:], message[4:], id=title) for title, text, message in rows]
