"""What kinds of traffic cost: a mix, values in each request, checks, and closed users.

Each kind is measured at one rate against the same nginx, interleaved with one fixed request, with k6 where
the comparison names it, and with an earlier version of this project if its folder is given.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from infra.bench.contenders import CLIENTS, CONTENDERS, Contender, Job
from infra.bench.figures import nginx
from infra.bench.ramp import ramp_spacing
from infra.bench.watched import LENGTH_S, Measured, run

RATE = 3000
"""Requests per second that k6 also holds on two cores, for each kind."""
HIGH_RATE = 10_000
NAMES = tuple(f"r{number}" for number in range(10))
CITIES = ("Amsterdam", "Berlin", "Copenhagen", "Dublin")
Load = Mapping[str, Any]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Kind:
    """One kind of traffic.

    Attributes:
        load: The keys of a specification's ``load``.
        body: The same for k6, as the body of its default function.
        keeps_bodies: Whether k6 must not discard responses.
    """

    name: str
    load: Load
    body: str
    keeps_bodies: bool = False


def _mix(**request: Any) -> Load:
    return {"requests": [{"name": name, "path": f"/{name}", **request} for name in NAMES]}


_PICK = "const path = '/r' + (exec.scenario.iterationInTest % 10);"
FIXED = Kind("one fixed request", {}, "http.get(base + '/');")
MIX = Kind("a mix of ten fixed requests", _mix(), f"{_PICK} http.get(base + path);")
VALUES = Kind(
    "a mix of ten, two variables and a JSON body each",
    {
        **_mix(method="POST", json={"id": "${id}", "city": "${city}", "kind": "order"}),
        "variables": {"id": {"int": [1, 1_000_000]}, "city": {"choice": [*CITIES]}},
    },
    f"""{_PICK}
  const body = JSON.stringify({{id: 1 + Math.floor(Math.random() * 1000000),
    city: cities[Math.floor(Math.random() * cities.length)], kind: 'order'}});
  http.post(base + path, body, {{headers: {{'Content-Type': 'application/json'}}}});""",
)
CHECK = Kind(
    "a JSON check of 1 KiB",
    {"request": {"path": "/json"}, "expect": {"json": {"$.state": "accepted"}}},
    "check(http.get(base + '/json'), {accepted: (r) => r.status === 200 && r.json('state') === 'accepted'});",
    keeps_bodies=True,
)
KINDS = (FIXED, MIX, VALUES, CHECK)


def traffic(rounds: int, say: Say, before: Path | None = None) -> dict[str, Any]:
    """Return rows of kind, tool, rate and CPU per request, those of closed users, and the spacing of a ramp.

    Args:
        rounds: Each measures everything once; figures are their medians.
        say: Told what is measured next.
        before: A checkout of an earlier version with its own ``.venv``, to compare one fixed request with.
    """
    with nginx() as port, tempfile.TemporaryDirectory() as folder:
        job = Job(port, RATE, LENGTH_S, new=False, folder=Path(folder))
        measured: dict[tuple[str, str, int], list[Measured]] = {}
        for number in range(rounds):
            work = list(_work(job, before))
            start = number % len(work)
            for name, tool, one in (*work[start:], *work[:start]):
                say(f"round {number + 1}/{rounds}: {name}, {tool.name}, {one.rate or 'full speed'}")
                found = run(tool, one, f"http://127.0.0.1:{port}/status")
                if found is None:
                    print(f"{tool.name} could not do {name}", file=sys.stderr)
                else:
                    measured.setdefault((name, tool.name, one.rate), []).append(found)
    rows = [_row(*key, all_) for key, all_ in measured.items()]
    return {"rounds": rounds, "rows": rows, "ramp_spacing": ramp_spacing(rounds, say)}


def _row(name: str, tool: str, rate: int, all_: Sequence[Measured]) -> dict[str, Any]:
    return {
        "kind": name,
        "tool": tool,
        "rate": rate,
        "rps": statistics.median(each.rps for each in all_),
        "cpu_us": statistics.median(each.cpu_us for each in all_),
        "cpu_us_all": [round(each.cpu_us, 2) for each in all_],
    }


def _work(job: Job, before: Path | None) -> Iterator[tuple[str, Contender, Job]]:
    """Yield everything to measure in a round: the kind's name, the tool and its job."""
    for kind in KINDS:
        for rate in (RATE, HIGH_RATE):
            yield kind.name, _ours(kind), replace(job, rate=rate)
        yield kind.name, _k6(kind), job
    if before is not None:
        for rate in (RATE, HIGH_RATE):
            yield FIXED.name, _earlier(before), replace(job, rate=rate)
    wrk = next(tool for tool in CONTENDERS if tool.name == "wrk")
    for tool in (_closed(), wrk):
        yield f"{CLIENTS} closed users", tool, replace(job, rate=0)


def _ours(kind: Kind) -> Contender:
    def command(job: Job) -> list[str]:
        return [*_one(sys.executable, job), "--load", json.dumps(kind.load)]

    return Contender("builtin", "python", command, _told, open_loop=True)


def _closed() -> Contender:
    def command(job: Job) -> list[str]:
        return [*_one(sys.executable, job), "--users", str(CLIENTS)]

    return Contender("builtin", "python", command, _told, open_loop=False)


def _earlier(folder: Path) -> Contender:
    def command(job: Job) -> list[str]:
        words = _one(str(folder / ".venv" / "bin" / "python"), job)
        return ["env", "--chdir", str(folder), *words]

    return Contender("builtin, earlier version", "python", command, _told, open_loop=True)


def _one(python: str, job: Job) -> list[str]:
    words = ["--port", str(job.port), "--rate", str(job.rate), "--seconds", str(job.seconds)]
    return [python, "-m", "infra.bench.one", *words]


def _told(_: Job, out: str) -> dict[str, float]:
    told: dict[str, float] = json.loads(out)
    if told["failed"] or told["dropped"]:
        print(f"{told['failed']} requests failed and {told['dropped']} were dropped", file=sys.stderr)
    return told


def _k6(kind: Kind) -> Contender:
    def command(job: Job) -> list[str]:
        script = job.folder / "traffic.js"
        options = {
            "discardResponseBodies": not kind.keeps_bodies,
            "scenarios": {
                "s": {
                    "executor": "constant-arrival-rate", "rate": job.rate, "timeUnit": "1s",
                    "duration": f"{job.seconds}s", "preAllocatedVUs": 100, "maxVUs": 400,
                }
            },
        }  # fmt: skip
        script.write_text(f"""
import http from 'k6/http';
import exec from 'k6/execution';
import {{ check }} from 'k6';
export const options = {json.dumps(options)};
const base = 'http://127.0.0.1:{job.port}', cities = {json.dumps(CITIES)};
export default function () {{
  {kind.body}
}}
export function handleSummary(data) {{ return {{}}; }}
""")
        return ["k6", "run", "--quiet", "--no-usage-report", "--address", "", str(script)]

    return Contender("k6", "k6", command, lambda _, __: {}, open_loop=True)
