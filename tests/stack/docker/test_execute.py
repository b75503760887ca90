"""`runner execute` on a real engine: results, exit codes, and an empty engine afterwards."""

import json
import os
import signal
import subprocess
import time
import uuid
from pathlib import Path

import pytest
import yaml

from tests.preloaded.client import SCRIPT, popen
from tests.stack.docker.conftest import APP

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[3]
WITHOUT_PICTURES = ROOT / "tests" / "without_pictures"
GONE_WITHIN_S = 15
SLOW = "sleep 31.4159"
"""The command of the slow build's container."""


class Runner:
    """The command line on a specification of two hops, with a unique name."""

    def __init__(self, folder):
        self.folder = folder
        self.name = f"two-hops-{uuid.uuid4().hex[:8]}"
        self.out = folder / "run"

    def start(self, *, stages, build=APP, env=None, calibrate=False):
        topology = {
            "kind": "docker",
            "app": {"build": str(build), "port": 8080, "metrics": "/metrics", "env": env or {}},
            "replicas": 2,
            "proxy": {"kind": "nginx"},
        }
        spec = {
            "version": 1,
            "name": self.name,
            "title": "Two hops",
            "objective": "See it work.",
            "topology": topology,
            "load": {"connection": "new", "timeout": "2s"},
            "stages": stages,
            "cooldown": "0s",
        }
        path = self.folder / "spec.yaml"
        path.write_text(yaml.safe_dump(spec))
        command = [
            SCRIPT,
            "execute",
            path,
            "--out",
            self.out,
            "--no-lock",
            *([] if calibrate else ["--no-calibrate"]),
        ]
        cache = {"XDG_CACHE_HOME": str(self.folder / "cache")} if calibrate else {}
        return popen(
            command,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(WITHOUT_PICTURES)} | cache,
        )

    def results(self):
        return json.loads((self.out / "results.json").read_text())

    def processes(self):
        mark = str(self.folder).encode()
        return [path for path in Path("/proc").glob("[0-9]*") if mark in _environment(path)]


def _environment(path):
    try:
        return (path / "cmdline").read_bytes() + os.fsencode((path / "cwd").readlink())
    except OSError:
        return b""


@pytest.fixture
def runner(tmp_path):
    return Runner(tmp_path)


@pytest.fixture
def objects(api, runner):
    """Return a function: a process's containers and networks, and the build it waits for.

    The engine may still begin or end a build of an earlier test, so builds are told apart by their command.
    """

    def look(process):
        filters = {"label": f"loadproof.owner-pid={process.pid}"}
        containers = api.containers(all=True, filters=filters)
        slow = [it for it in api.containers(all=True) if runner.name in it["Command"]]
        return {it["Id"] for it in [*containers, *slow, *api.networks(filters=filters)]}

    return look


def wait_until_empty(objects, process, runner):
    deadline = time.monotonic() + GONE_WITHIN_S
    while left := (objects(process) or runner.processes()):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def slow_build(folder, name):
    """Write a build that takes half a minute; with a name of its own, its image is never reused."""
    folder.mkdir()
    lines = ["ARG BASE=python:3.12-slim", "FROM ${BASE}", f"RUN echo building && : {name} && {SLOW}"]
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
    return folder


def read_until(stream, word):
    lines = []
    for line in iter(stream.readline, ""):
        lines.append(line)
        if word in line:
            return
    pytest.fail(f"{word!r} was never printed: {lines}")


def test_an_experiment_accounts_for_requests_and_cpu_of_every_part(runner, objects):
    process = runner.start(stages=[{"rps": 200, "duration": "3s", "warmup": "1s"}])
    _, stderr = process.communicate(timeout=120)

    assert process.returncode == 0, stderr
    [stage] = runner.results()["configurations"][0]["stages"]
    assert stage["requests"]["succeeded"] == 600
    cpu = {role: value["avg"] for role, value in stage["cpu_cores"].items() if value}
    assert {"app", "proxy", "forwarder", "daemon", "generator", "runner", "other"} <= set(cpu)
    parts = sum(value for role, value in cpu.items() if role != "system")
    # on a virtual machine, process clocks may count stolen time, which the host's clock does not
    stolen = sum(counter["delta"] for counter in stage["counters"] if counter["name"] == "cpu.steal_s") / 3
    assert 0.97 * cpu["system"] <= parts <= 1.03 * cpu["system"] + stolen
    assert objects(process) == set()


def test_a_replica_that_dies_in_a_stage_fails_the_stage_and_keeps_its_results(runner, objects):
    process = runner.start(stages=[{"rps": 50, "duration": "5s"}], env={"FAULT": "dies-soon"})
    _, stderr = process.communicate(timeout=120)

    assert "Traceback" not in stderr
    [stage] = runner.results()["configurations"][0]["stages"]
    assert stage["status"] == "failed"
    assert stage["events"][0]["code"] == "app-died"
    assert "small_app: that was enough" in stage["events"][0]["log"]
    assert objects(process) == set()


def test_a_container_that_dies_during_the_calibration_ends_the_run_at_once(runner, objects, api):
    stages = [{"rps": rate, "duration": "1s"} for rate in range(10, 100, 10)]  # some 15 s to calibrate
    process = runner.start(stages=stages, calibrate=True)
    read_until(process.stderr, "calibrating the builtin engine")
    filters = {"label": f"loadproof.owner-pid={process.pid}"}
    replica = next(it for it in api.containers(filters=filters) if "app" in it["Names"][0])

    began = time.monotonic()
    api.kill(replica["Id"])
    _, stderr = process.communicate(timeout=60)

    assert process.returncode == 3
    assert time.monotonic() - began < 12
    assert "before the first request of a stage was sent" in stderr
    assert "Traceback" not in stderr
    wait_until_empty(objects, process, runner)


PHASES = {
    "build": ("  building", 0.0),
    "bring-up": ("starting the docker stack", 0.8),
    "warm-up": ("offering", 0.2),
    "stage": ("offering", 1.3),
    "take-down": ("complete", 0.0),
}
"""Phase to the line that announces it, and how long to wait after that line."""
ENDED = [
    ("build", signal.SIGINT),
    ("build", signal.SIGKILL),
    ("bring-up", signal.SIGTERM),
    ("warm-up", signal.SIGINT),
    ("stage", signal.SIGTERM),
    ("stage", signal.SIGKILL),
    ("take-down", signal.SIGINT),
]
"""Each phase with one of the signals that the runner handles, which take the same way.

SIGKILL comes where programs run beside the runner; in the steps of a stack it is in test_cleanup.py.
"""


@pytest.mark.parametrize(("phase", "number"), ENDED, ids=lambda it: getattr(it, "name", it))
def test_a_run_ended_in_any_phase_leaves_nothing_but_its_results(runner, objects, phase, number):
    word, later_s = PHASES[phase]
    short = phase == "take-down"
    process = runner.start(
        stages=[{"rps": 50, "duration": "1s" if short else "30s", "warmup": "0s" if short else "1s"}],
        build=slow_build(runner.folder / "slow", runner.name) if phase == "build" else APP,
    )
    with process:
        read_until(process.stderr, word)
        time.sleep(later_s)

        process.send_signal(number)

        stderr = process.stderr.read()
    assert "Traceback" not in stderr or number == signal.SIGKILL
    assert process.returncode == -number
    wait_until_empty(objects, process, runner)
    if phase in {"warm-up", "stage"} and number != signal.SIGKILL:
        assert runner.results()["run"]["status"] == "aborted"
    if phase == "take-down":
        assert (runner.out / "journal.ndjson").read_text().count("\n") == 1
