"""Users of scenarios: CPU beside k6's, the most of one worker, exact starts, waiting, and latencies."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from infra.bench.bare_timer import bare_timer
from infra.bench.contenders import Contender, Job
from infra.bench.figures import Offered, nginx, offer_stage, truth_server
from infra.bench.interrupted import interrupted
from infra.bench.watched import LENGTH_S, Measured, run
from runner.core import histogram

Row = tuple[str, str, str, bool]
USERS_PER_S, MOST_USERS_PER_S = (500, 1000), 1500
REQUESTS = 4
ROUNDS = 5
STARTS_PER_S, STARTS_S = 100, 60
TIMER_PER_S = 97
"""Not the rate of the starts: so the instants of both do not keep one distance."""
WAITING_USERS, WAITING_S = 10_000, 10

VISIT = {
    "name": "visit",
    "steps": [
        {
            "request": {"name": "login", "method": "POST", "path": "/login", "form": {"user": "guest"}},
            "extract": {"token": {"json": "$.token"}},
        },
        {"request": {"name": "list", "path": "/list", "headers": {"Authorization": "Bearer ${token}"}}},
        {"pause": "100ms"},
        {"request": {"name": "item", "path": "/item/17"}},
        {"request": {"name": "order", "method": "POST", "path": "/orders", "json": {"token": "${token}"}}},
    ],
}
LOAD = {"scenarios": [VISIT]}
PLAIN_VISIT = {"name": "visit", "steps": [{"request": {"name": name, "path": f"/{name}"}} for name in "abcd"]}
SCRIPT = """
import http from 'k6/http';
import {{ sleep }} from 'k6';
export const options = {options};
const base = 'http://127.0.0.1:{port}';
export default function () {{
  const token = http.post(base + '/login', {{user: 'guest'}}).json('token');
  http.get(base + '/list', {{headers: {{Authorization: 'Bearer ' + token}}}});
  sleep(0.1);
  http.get(base + '/item/17');
  http.post(base + '/orders', JSON.stringify({{token}}), {{headers: {{'Content-Type': 'application/json'}}}});
}}
export function handleSummary(data) {{ return {{}}; }}
"""


def scenarios() -> Iterator[Row]:
    """Yield figure, measured, wanted, kept."""
    with nginx() as port:
        yield from _beside_k6(port)
        yield _starts(port)
        yield _waiting(port)
        yield from interrupted(port)
    yield _latencies()


def _beside_k6(port: int) -> Iterator[Row]:
    """Four requests with a JSON extract, a pause and cookies, in turn with k6."""
    with tempfile.TemporaryDirectory() as folder:
        job = Job(port, MOST_USERS_PER_S, LENGTH_S, new=False, folder=Path(folder))
        contenders = {"ours": _ours(), "k6": _k6()}
        work = [(name, replace(job, rate=rate)) for rate in USERS_PER_S for name in contenders]
        work.append(("ours", job))
        measured: dict[tuple[str, int], list[Measured]] = {(name, one.rate): [] for name, one in work}
        for number in range(ROUNDS):
            print(f"scenarios, round {number + 1}/{ROUNDS}", file=sys.stderr, flush=True)
            for name, one in work:
                if found := run(contenders[name], one, f"http://127.0.0.1:{port}/status"):
                    measured[name, one.rate].append(found)
    for rate in USERS_PER_S:
        ours, theirs = (statistics.median(one.cpu_us for one in measured[name, rate]) for name in contenders)
        yield (
            f"CPU a request, a scenario of {REQUESTS} requests, {rate:,} users/s",
            f"{ours:.1f} µs, {ours / theirs:.2f} × k6's {theirs:.1f}",
            "<= 0.5 × k6",
            ours <= 0.5 * theirs,
        )
    most = measured["ours", MOST_USERS_PER_S]
    rps = statistics.median(one.rps for one in most)
    cpu = statistics.median(one.cpu_us for one in most)
    yield (
        f"one worker, {MOST_USERS_PER_S:,} users/s of the same scenario",
        f"{rps:,.0f} requests/s at {cpu:.1f} µs",
        ">= 5,000 requests/s",
        rps >= 5000,
    )


def _starts(port: int) -> Row:
    """How late users begin, at a rate that leaves the machine idle.

    A virtual machine may wake every process late, and for seconds later than before. So a bare timer waits
    at the same time, and what it does is no fault of ours.
    """
    print(f"starts of users beside a bare timer, {STARTS_S} s", file=sys.stderr, flush=True)
    with bare_timer(TIMER_PER_S, STARTS_S) as bare:
        users = offer_stage(port, 0, STARTS_S, users_per_s=STARTS_PER_S, **_load())
    p50, p99 = (ms * 1e3 for ms in _of_users(users, "dispatch_delay").percentiles_ms([50, 99]))
    bare_p50, bare_p99 = (bare[len(bare) * percent // 100] for percent in (50, 99))
    return (
        f"users begin late, {STARTS_PER_S} users/s, {STARTS_S} s",
        f"p50 {p50:.0f}, p99 {p99:.0f} µs; a bare timer beside it p50 {bare_p50:.0f}, p99 {bare_p99:.0f} µs",
        "p99 <= 200 µs, or 1.2 × the bare timer's",
        p99 <= max(200, 1.2 * bare_p99),
    )


def _waiting(port: int) -> Row:
    """What users who only wait cost."""
    wait = {"name": "wait", "steps": [*VISIT["steps"][:1], {"pause": "60s"}]}
    load = _load() | {"scenarios": [wait], "timeout": "15s"}
    offered = offer_stage(port, 0, WAITING_S, warmup=0, users_per_s=WAITING_USERS / WAITING_S, **load)
    seconds = [second for second in offered.facts.seconds if WAITING_S < second.index < WAITING_S + 12]
    cpu = statistics.mean(second.cpu_s for second in seconds)
    good = cpu <= 0.03 and offered.peak_mib <= 200
    measured = f"{offered.peak_mib:.0f} MiB, {cpu:.1%} of a core"
    return f"{WAITING_USERS:,} users who wait", measured, "<= 200 MiB, <= 3 %", good


def _latencies() -> Row:
    """Durations of requests of scenarios against what the server itself took for them.

    A response arrives at some instant within the server's call that sends it. To wake a client that waits for
    the response, as users of scenarios do, makes this call longer. So the truth is an interval.
    """
    with truth_server("mixture") as (port, told):
        offered = offer_stage(
            port, 0, 10, warmup=0, users_per_s=100, **_load() | {"scenarios": [PLAIN_VISIT]}
        )
    wanted = (50, 95, 99)
    lows, highs = (_percentiles_ms(told[name], wanted) for name in ("took_to_send", "took"))
    ours = offered.latency("duration").percentiles_ms(wanted)
    rows = list(zip(ours, lows, highs, strict=True))
    worst = max(max(low / mine - 1, mine / high - 1, 0.0) for mine, low, high in rows)
    shown = ", ".join(f"{mine:.2f} / {low:.2f} to {high:.2f}" for mine, low, high in rows)
    measured = f"{shown} ms, off by at most {worst:.1%}"
    return "p50, p95, p99 of a scenario's requests / of the server", measured, "within 2 %", worst <= 0.02


def _percentiles_ms(took_ns: list[int], wanted: Sequence[int]) -> list[float]:
    took = sorted(took_ns)
    return [took[min(len(took) - 1, len(took) * share // 100)] / 1e6 for share in wanted]


def _of_users(offered: Offered, name: str) -> histogram.Histogram:
    return histogram.merge(
        getattr(users, name) for second in offered.facts.seconds for users in second.scenarios.values()
    )


def _load() -> dict[str, Any]:
    return {**LOAD, "max_in_flight": 20_000, "workers": 1}


def _ours() -> Contender:
    def command(job: Job) -> list[str]:
        return [
            sys.executable, "-m", "infra.bench.one", "--port", str(job.port), "--rate", "0",
            "--users-per-s", str(job.rate), "--seconds", str(job.seconds), "--load", json.dumps(LOAD),
        ]  # fmt: skip

    return Contender("builtin", "python", command, lambda _, out: json.loads(out), open_loop=True)


def _k6() -> Contender:
    def command(job: Job) -> list[str]:
        executor = {
            "executor": "constant-arrival-rate", "rate": job.rate, "timeUnit": "1s",
            "duration": f"{job.seconds}s", "preAllocatedVUs": 200, "maxVUs": 800,
        }  # fmt: skip
        script = job.folder / "scenario.js"
        script.write_text(SCRIPT.format(options=json.dumps({"scenarios": {"s": executor}}), port=job.port))
        return ["k6", "run", "--quiet", "--no-usage-report", "--address", "", str(script)]

    return Contender("k6", "k6", command, lambda _, __: {}, open_loop=True)
