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

SCENARIOS = """\
version: 1
name: shop
topology: {kind: external, url: "http://127.0.0.1:8080"}
load:
  connection: per-user
  follow_redirects: 3
  expect: {status: [2xx]}
  variables: {n: {int: [1, 5], scope: request}}
  requests: [{name: home, path: "/?t=${token}", follow_redirects: 0}]
  scenarios:
    - name: buy
      steps:
        - request: {name: login, method: POST, expect: {status: [302]}}
          extract:
            token: {json: $.token}
            csrf: {regex: 'name="csrf" value="([^"]*)"'}
            code: {header: Location, regex: 'code=([^&]*)', optional: true}
            sid: {cookie: sid}
            items: {json: '$.items[?@.stock > 0]', pick: all}
            state: {json: $.state, default: closed}
            offset: {header: Upload-Offset, default: 0}
        - {request: home}
        - {request: home, name: home-again}
        - {pause: [1s, 3s]}
        - {probability: 30%, steps: [{request: {name: rate, path: "/${n}/${csrf}"}}]}
        - choose:
            - {weight: 3, steps: [{request: {name: card}, extract: {paid: {json: $.id}}}]}
            - {steps: [{request: {name: bill}, extract: {paid: {json: $.id}}}]}
        - request: {name: thanks, path: "/${paid}"}
        - for_each: items
          as: item
          steps: [{request: {name: item, json: {item: "${item}", id: "${item.id}", sid: "${sid}"}}}]
        - if: {state: [open, 1.50, null], code: {exists: true}}
          steps: [{request: {name: code, url: "${code}"}}]
          else: [{pause: 250ms}]
        - repeat: 100
          until: {offset: {min: 100}}
          steps:
            - request: {name: piece, body_file: a.bin, body_range: {from: "${offset}", bytes: 64KiB}}
              extract: {offset: {header: Upload-Offset}}
stages:
  - {users_per_s: {from: 1, to: 20}, duration: 10s, warmup: 5s}
  - {users: 50, duration: 10s}
thresholds:
  - scenario_duration{scenario=buy}.p95 < 20s
  - errors{request=buy/login} < 1%
  - duration{request=login}.p95 < 1s
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


def message_of(text: str, *overrides: str) -> str:
    """Return the only problem that changes cause, without its position."""
    (position,) = error(text, *overrides).positions
    return f"{position.path}: {position.message}" + (f" ({position.hint})" if position.hint else "")
