"""Runs an experiment for its verdict, and lists at the end the expected and the actual verdicts."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
import yaml

from tests.preloaded.client import SCRIPT, popen

ROOT = Path(__file__).parents[2]
IMAGE = Path(__file__).parent / "image"
"""The build folder of the services that run in containers."""
_TRIES = 3
_PAUSE_S = 5
_BUSY_CORES = 0.3
_STOLEN_SHARE = 0.05
"""Of all processors, by the hypervisor: a case that needs all of them is then limited by the host."""
MATRIX: list[tuple[str, str, str, str, bool]] = []


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the systems that only `make truth` runs: they take a minute each."""
    if os.environ.get("TRUTH") == "all":
        return
    left_out = [item for item in items if item.get_closest_marker("only_truth")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def service(*words: str) -> list[str]:
    return [sys.executable, "-m", "tests.truth.image.service", "--port", "{port}", *words]


@dataclass(frozen=True)
class Case:
    """A topology and a load with one known limit.

    Attributes:
        code: The verdict; `also` are others that are right.
        service: The service that the verdict names.
    """

    code: str
    topology: dict
    rps: int
    load: dict = field(default_factory=dict)
    seconds: int = 3
    also: tuple[str, ...] = ()
    service: str | None = None

    def is_right(self, verdict: dict) -> bool:
        named = verdict["findings"][0].get("service")
        return verdict["code"] in {self.code, *self.also} and self.service in {None, named}

    def configuration(self, name: str) -> dict:
        return {
            "name": name,
            "cooldown": "0s",  # another system is built before the next stage
            "topology": self.topology,
            "load": {"timeout": "1s", **self.load},
            "stages": [{"rps": self.rps, "duration": f"{self.seconds}s", "warmup": "500ms"}],
        }


def start(folder: Path, cases: list[Case], words: Sequence[str] = ()) -> subprocess.Popen:
    """Start the program with one configuration for each case."""
    configurations = [case.configuration(f"case-{number}") for number, case in enumerate(cases)]
    path = folder / "truth.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "name": "truth", "configurations": configurations}))
    return popen(
        [
            *words, SCRIPT, "execute", str(path), "--out", str(folder / "run"),
            "--no-lock", "--no-calibrate", "--no-preflight", "--quiet", "--json",
        ],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'tests' / 'without_pictures'}:{ROOT}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def verdicts(process: subprocess.Popen, timeout_s: float) -> list[dict]:
    """Return the verdict of each configuration, with its stage."""
    out, err = process.communicate(timeout=timeout_s)
    assert "Traceback" not in err, err
    assert out, err
    stages = [configuration["stages"][0] for configuration in json.loads(out)["configurations"]]
    return [stage["verdict"] | {"stage": stage} for stage in stages]


class Truth:
    """Runs one case through the whole program.

    Attributes:
        words: What starts the program, such as ``unshare --net``.
        eaten: Processors that other programs use completely while load is offered; one may occur repeatedly.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.words: list[str] = []
        self.eaten: list[int] = []
        self.started: list[subprocess.Popen] = []

    def start(self, case: Case) -> subprocess.Popen:
        process = start(self.folder, [case], self.words)
        self.started.append(process)
        return process

    def stop(self) -> None:
        """End what a failed test has left running; a run that gets SIGTERM removes its stack first."""
        for process in self.started:
            if process.poll() is None:
                process.terminate()
            process.communicate(timeout=60)

    def verdict(self, process: subprocess.Popen) -> dict:
        if self.eaten:
            worker = wait_for_worker(process)
            with eating(self.eaten):
                worker.wait(60)
        (verdict,) = verdicts(process, 120)
        return verdict

    def shows(self, code: str, topology: dict, rps: int, *, seconds: int = 3, **load) -> None:
        """Check the verdict of a case in a run of its own."""
        case = Case(code, topology, rps, load, seconds)
        self.check(case, self.verdict(self.start(case)))

    def check(self, case: Case, verdict: dict) -> None:
        """Check a verdict; runs its case up to twice again if it is wrong and other programs were busy."""
        for _ in range(_TRIES - 1):
            if case.is_right(verdict) or self.eaten or not _disturbed(verdict["stage"]):
                break
            time.sleep(_PAUSE_S)
            shutil.rmtree(self.folder / "run", ignore_errors=True)
            verdict = self.verdict(self.start(case))
        self.expect(verdict, case)

    def expect(self, verdict: dict, case: Case) -> None:
        MATRIX.append((self.name, case.code, verdict["code"], verdict["confidence"], case.is_right(verdict)))
        evidence = json.dumps({key: verdict[key] for key in ("findings", "ruled_out")}, indent=1)
        assert case.is_right(verdict), evidence
        proven = [finding["code"] for finding in verdict["findings"] if finding["confidence"] == "proven"]
        assert set(proven) <= {verdict["code"]}, evidence


def _disturbed(stage: dict) -> bool:
    """Return whether other programs, or other guests of the same machine, used CPU that the case needs."""
    other = (stage["cpu_cores"]["other"] or {}).get("avg", 0.0)
    stolen = sum(counter["delta"] for counter in stage["counters"] if counter["name"] == "cpu.steal_s")
    stolen_cores = stolen / stage["window_s"]
    return other + stolen_cores > _BUSY_CORES or stolen_cores > _STOLEN_SHARE * (os.cpu_count() or 1)


@pytest.fixture
def truth(tmp_path, request):
    truth = Truth(tmp_path, request.node.name.removeprefix("test_"))
    yield truth
    truth.stop()


@pytest.fixture(scope="module")
def shared(request, tmp_path_factory):
    """Verdicts of the file's selected tests with a `case`: configurations of one run, to start once."""
    cases = {
        item.callspec.id: item.callspec.params["case"]
        for item in request.session.items
        if "shared" in getattr(item, "fixturenames", ())
        and item.path == request.path
        and not item.get_closest_marker("skip")
    }
    process = start(tmp_path_factory.mktemp("shared"), list(cases.values()))
    try:
        return dict(zip(cases, verdicts(process, 60 + 20 * len(cases)), strict=True))
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=60)


@pytest.fixture
def eaters(truth):
    """Programs that use the host's CPU, some on each processor, so that none is left for the service."""
    truth.eaten = sorted(os.sched_getaffinity(0)) * 4


def wait_for_worker(running):
    """Return the first process of the generator."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for child in psutil.Process(running.pid).children(recursive=True):
            if _is_worker(child):
                return child
        time.sleep(0.02)
    raise AssertionError("no generator worker started")


def _is_worker(process):
    with contextlib.suppress(psutil.Error):  # short-lived children end meanwhile
        return "runner.load.worker" in process.cmdline()
    return False


@contextlib.contextmanager
def eating(cpus):
    """Run a busy loop on each of these processors."""
    burn = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"
    with contextlib.ExitStack() as stack:
        for cpu in cpus:
            process = subprocess.Popen([sys.executable, "-c", burn, str(cpu)], start_new_session=True)
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield


def pytest_terminal_summary(terminalreporter):
    if not MATRIX:
        return
    terminalreporter.section("verdicts: expected and actual")
    width = max(len(row[0]) for row in MATRIX)
    for name, expected, actual, confidence, is_right in MATRIX:
        mark = "ok" if is_right else "WRONG"
        terminalreporter.write_line(f"{name:{width}}  {expected:24} {actual:24} {confidence:8} {mark}")
