"""What the live page costs: CPU of its process for no, one and two viewers, and of the runner beside it.

Each of four runs is real, and real viewers read its page by the wire. The figures are those of its results.
"""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from runner.core.stage_results import Stage
from runner.store.results_file import read_results

Row = tuple[str, str, str, bool]
WANTED: Final = 0.01
"""Of a core, for each viewer; and for what the runner itself does more."""
_RUNNER: Final = Path(sys.executable).with_name("runner")
_ADDRESS: Final = re.compile(r"live page: (\S+)")
_SPEC: Final = """\
version: 1
name: watched
topology:
  kind: process
  app: {command: [app-server, --host, 127.0.0.1, --port, "{port}"], health: /healthz}
load: {request: {path: /session}}
stages:
  - {rps: 500, duration: 30s, warmup: 5s}
"""


def live_page() -> Iterator[Row]:
    """The page's process with viewers, and the runner with and without it."""
    with tempfile.TemporaryDirectory() as folder:
        alone = _cores(_run(Path(folder), viewers=None), "runner")
        stages = {viewers: _run(Path(folder), viewers) for viewers in (0, 1, 2)}
    page = {viewers: _cores(stage, "runner-2") for viewers, stage in stages.items()}
    for viewers, used in page.items():
        limit = WANTED * max(viewers, 1)
        yield f"live page for {viewers} viewers", f"{used:.4f} cores", f"<= {limit:g}", used <= limit
    more = max(_cores(stage, "runner") for stage in stages.values()) - alone
    wanted = f"<= {WANTED:g} more"
    yield "the runner itself beside a live page", f"{alone:.4f} {more:+.4f} cores", wanted, more <= WANTED


def _cores(stage: Stage, subject: str) -> float:
    usage = stage.cpu_cores_by_subject[subject].cpu
    return usage.avg if usage and usage.avg is not None else float("nan")


def _run(folder: Path, viewers: int | None) -> Stage:
    """Run the experiment with so many viewers, None for no page, and return its stage."""
    out = folder / f"viewers-{viewers}"
    spec = folder / "watched.yaml"
    spec.write_text(_SPEC)
    command: list[str | Path] = [_RUNNER, "execute", spec, "--quiet", "--no-calibrate", "--out", out]
    command += [] if viewers is None else ["--live"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    watching: list[threading.Thread] = []
    for line in process.stderr:
        if address := _ADDRESS.search(line):
            watching = [threading.Thread(target=_watch, args=(address[1],)) for _ in range(viewers or 0)]
            for thread in watching:
                thread.start()
    if process.wait():
        sys.exit(f"the run with {viewers} viewers ended with exit code {process.returncode}")
    for thread in watching:
        thread.join()
    return read_results(out).configurations[0].stages[0]


def _watch(page: str) -> None:
    """Read the stream of a page to its end, as a browser does."""
    address = urlsplit(page)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)
    with suppress(OSError, http.client.HTTPException):
        connection.request("GET", address.path.replace("/live/", "/live-events/", 1))
        response = connection.getresponse()
        while line := response.readline():
            if b'"ended"' in line:
                break
    connection.close()
