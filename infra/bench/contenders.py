"""Load tools as commands: how each is told a rate, and where it says what it saw.

Every tool, ours too, runs as a process of its own and is watched from outside in the same way, so that
no tool is charged for its start or believed about its own cost.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent
CLIENTS = 50
MOST = 400

Percentiles = dict[str, float]


@dataclass(frozen=True)
class Job:
    """What a tool is to do: `rate` arrivals a second, or as many as it can when that is 0."""

    port: int
    rate: int
    seconds: float
    new: bool
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


@dataclass(frozen=True)
class Contender:
    """One tool.

    Attributes:
        name: In tables.
        program: What is looked up on PATH.
        command: The words to run a job with, None when the tool has no way to do it.
        read: p50, p95 and p99 in milliseconds from its output, as far as it tells them.
        open_loop: It sends when requests are due, whatever the answers.
    """

    name: str
    program: str
    command: Callable[[Job], list[str] | None]
    read: Callable[[Job, str], Percentiles]
    open_loop: bool

    @property
    def path(self) -> str | None:
        return shutil.which(str(BIN / self.program)) or shutil.which(self.program)


def builtin(quantum: str | None) -> Contender:
    words = ["--quantum", quantum] if quantum else []

    def command(job: Job) -> list[str]:
        return [
            sys.executable, "-m", "infra.bench.one", "--port", str(job.port), "--rate", str(job.rate),
            "--seconds", str(job.seconds), *(["--new"] if job.new else []), *words,
        ]  # fmt: skip

    name = f"builtin, quantum {quantum}" if quantum else "builtin"
    return Contender(name, "python", command, lambda _, out: json.loads(out), open_loop=True)


def k6(job: Job) -> list[str] | None:
    if not job.rate:
        return None
    script = job.folder / "k6.js"
    script.write_text(f"""
import http from 'k6/http';
export const options = {{ discardResponseBodies: true, noConnectionReuse: {json.dumps(job.new)},
  summaryTrendStats: ['med', 'p(95)', 'p(99)'],
  scenarios: {{ s: {{ executor: 'constant-arrival-rate', rate: {job.rate}, timeUnit: '1s',
    duration: '{job.seconds}s', preAllocatedVUs: 100, maxVUs: {MOST} }} }} }};
export default function () {{ http.get('{job.url}'); }}
export function handleSummary(data) {{
  return {{ stdout: JSON.stringify(data.metrics.http_req_duration.values) }}; }}
""")
    return ["k6", "run", "--quiet", "--no-usage-report", "--address", "", str(script)]


def _read_k6(_: Job, out: str) -> Percentiles:
    values = json.loads(out)
    return {"p50": values["med"], "p95": values["p(95)"], "p99": values["p(99)"]}


def k9(job: Job) -> list[str] | None:
    if not job.rate:
        return None
    scenario = {
        "executor": "constant-arrival-rate", "rate": job.rate, "timeUnit": "1s",
        "duration": f"{job.seconds}s", "preAllocatedVUs": 100, "maxVUs": MOST,
    }  # fmt: skip
    options = {"summaryTrendStats": ["avg", "med", "p(95)", "p(99)"], "scenarios": {"s": scenario}}
    plan = {"options": options, "flows": {"default": [{"request": {"url": job.url}}]}}
    (job.folder / "plan.json").write_text(json.dumps(plan))
    new = ["--no-connection-reuse"] if job.new else []
    summary = ["--summary-export", str(job.folder / "k9.json")]
    return ["k9", "run", "--quiet", *new, *summary, str(job.folder / "plan.json")]


def _read_k9(job: Job, _: str) -> Percentiles:
    values = json.loads((job.folder / "k9.json").read_text())["metrics"]["http_req_duration"]
    return {"p50": values["med"], "p95": values["p(95)"], "p99": values["p(99)"]}


def wrk(job: Job) -> list[str] | None:
    if job.rate:
        return None
    close = ["-H", "Connection: close"] if job.new else []
    return ["wrk", "-t1", f"-c{CLIENTS}", f"-d{job.seconds:.0f}s", "--latency", *close, job.url]


def _read_wrk(_: Job, out: str) -> Percentiles:
    units = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    found = re.findall(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s)\s*$", out, re.MULTILINE)
    return {f"p{percent}": float(value) * units[unit] for percent, value, unit in found}


def hey(job: Job) -> list[str]:
    paced = ["-q", str(max(1, round(job.rate / CLIENTS)))] if job.rate else []
    new = ["-disable-keepalive"] if job.new else []
    return ["hey", "-z", f"{job.seconds}s", "-c", str(CLIENTS), *paced, *new, job.url]


def _read_hey(_: Job, out: str) -> Percentiles:
    found = re.findall(r"^\s+(50|95|99)%+ in ([\d.]+) secs", out, re.MULTILINE)
    return {f"p{percent}": float(value) * 1e3 for percent, value in found}


def h2load(job: Job) -> list[str] | None:
    if job.new:
        return None
    paced = [f"--rps={job.rate / CLIENTS:g}"] if job.rate else []
    return ["h2load", "--h1", "-c", str(CLIENTS), "-D", f"{job.seconds:.0f}", *paced, job.url]


CONTENDERS = (
    builtin(None),
    builtin("0"),
    builtin("1ms"),
    Contender("k6", "k6", k6, _read_k6, open_loop=True),
    Contender("k9-load", "k9", k9, _read_k9, open_loop=True),
    Contender("wrk", "wrk", wrk, _read_wrk, open_loop=False),
    Contender("hey", "hey", hey, _read_hey, open_loop=False),
    Contender("h2load", "h2load", h2load, lambda _, __: {}, open_loop=False),
)
