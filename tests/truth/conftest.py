"""Runs an experiment for its verdict, and shows at the end what was expected and what was found."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RUNNER = Path(sys.executable).parent / "runner"
_TRIES = 3
_PAUSE_S = 5
_BUSY_CORES = 0.3
MATRIX: list[tuple[str, str, str, str]] = []


def service(*words: str) -> list[str]:
    return [sys.executable, "-m", "tests.truth.service", "--port", "{port}", *words]


class Truth:
    """Runs one scenario through the whole program."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.words: list[str] = []
        self.eats = False
        self.started: list[subprocess.Popen] = []

    def write(self, topology: dict, rps: int, load: dict, seconds: int) -> list[str]:
        spec = {
            "version": 1,
            "name": "truth",
            "topology": topology,
            "load": {"timeout": "1s", **load},
            "stages": [{"rps": rps, "duration": f"{seconds}s", "warmup": "500ms"}],
        }
        path = self.folder / "truth.yaml"
        path.write_text(yaml.safe_dump(spec))
        return [
            *self.words, str(RUNNER), "execute", str(path), "--out", str(self.folder / "run"),
            "--no-lock", "--no-calibrate", "--quiet", "--json",
        ]  # fmt: skip

    def start(self, topology: dict, rps: int, *, seconds: int = 3, **load) -> subprocess.Popen:
        process = subprocess.Popen(
            self.write(topology, rps, load, seconds),
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": f"{ROOT / 'tests' / 'without_pictures'}:{ROOT}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def stop(self) -> None:
        """End what a failed test has left running; a run that is told to end takes its stack down first."""
        for process in self.started:
            if process.poll() is None:
                process.terminate()
            process.communicate(timeout=60)

    def verdict(self, process: subprocess.Popen) -> dict:
        out, err = process.communicate(timeout=120)
        assert "Traceback" not in err, err
        assert out, err
        stage = json.loads(out)["configurations"][0]["stages"][0]
        return stage["verdict"] | {"stage": stage}

    def shows(self, code: str, topology: dict, rps: int, **load) -> None:
        """Run it and look; up to twice again when it is wrong and something else on this machine was busy."""
        for _ in range(_TRIES):
            found = self.verdict(self.start(topology, rps, **load))
            if found["code"] == code or self.eats or not _disturbed(found["stage"]):
                break
            time.sleep(_PAUSE_S)
            shutil.rmtree(self.folder / "run")
        self.expect(found, code)

    def expect(self, verdict: dict, code: str) -> None:
        MATRIX.append((self.name, code, verdict["code"], verdict["confidence"]))
        told = json.dumps({key: verdict[key] for key in ("findings", "ruled_out")}, indent=1)
        assert verdict["code"] == code, told
        wrongly = [each["code"] for each in verdict["findings"] if each["confidence"] == "proven"]
        assert set(wrongly) <= {code}, told


def _disturbed(stage: dict) -> bool:
    """Whether other programs, or other guests of the same machine, took what the scenario needs."""
    other = (stage["cpu_cores"]["other"] or {}).get("avg", 0.0)
    stolen = sum(each["delta"] for each in stage["counters"] if each["name"] == "cpu.steal_s")
    return other + stolen / stage["window_s"] > _BUSY_CORES


@pytest.fixture
def truth(tmp_path, request):
    truth = Truth(tmp_path, request.node.name.removeprefix("test_"))
    yield truth
    truth.stop()


@pytest.fixture
def eaters(truth):
    """Programs that eat the host's CPU, some on each processor, so that none is left to the service."""
    truth.eats = True
    with eating(sorted(os.sched_getaffinity(0)) * 4):
        yield


@contextlib.contextmanager
def eating(cpus):
    """A program that never rests on each of these processors."""
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
    terminalreporter.section("verdicts: expected against found")
    width = max(len(row[0]) for row in MATRIX)
    for name, expected, found, confidence in MATRIX:
        mark = "ok" if expected == found else "WRONG"
        terminalreporter.write_line(f"{name:{width}}  {expected:24} {found:24} {confidence:8} {mark}")
