"""The runner from its image reaches the engine of the host, observes containers, and says what is hidden."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.infra.installing import caches, run
from tests.stack.docker.conftest import needs_mmdebstrap

ROOT = Path(__file__).parents[2]
IMAGE = "loadproof-test/runner"
PYTHON_OF_BASE = (3, 11)  # Debian bookworm's
FLAGS = [
    "--network=host", "--pid=host", "--cgroupns=host", "--cap-add=SYS_PTRACE",
    "--volume=/var/run/docker.sock:/var/run/docker.sock", "--volume=/sys/fs/cgroup:/sys/fs/cgroup",
]  # fmt: skip
SERVED = {
    "kind": "docker",
    "app": {
        "image": "loadproof-base/python:bookworm",
        "command": ["python", "-m", "http.server", "8080"],
        "port": 8080,
        "health": "/",
    },
}
pytestmark = [pytest.mark.docker, pytest.mark.installers, needs_mmdebstrap, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def image(wheel, tools):
    """Built once, and removed, or that of LOADPROOF_RUNNER_IMAGE; its base stays."""
    if made := os.environ.get("LOADPROOF_RUNNER_IMAGE"):
        yield made
        return
    command = [sys.executable, ROOT / "infra" / "runner-image" / "build", f"--tag={IMAGE}"]
    if sys.version_info[:2] == PYTHON_OF_BASE:
        command.append(f"--wheel={wheel}")  # instead of another
    run(*command, env=os.environ | caches(tools) | {"LOADPROOF_IMAGES": "local"})
    yield IMAGE
    subprocess.run(["docker", "image", "rm", "--force", IMAGE], capture_output=True, check=True)


def runner(image, folder, *words, flags=FLAGS):
    """Run the image as docs/install.md says, with a folder for specifications and runs."""
    command = [
        "docker",
        "run",
        "--rm",
        "--init",
        *flags,
        f"--volume={folder}:{folder}",
        f"--workdir={folder}",
    ]
    environment = ["--env=LOADPROOF_IMAGES=local"]
    return subprocess.run(
        [*command, *environment, image, *words], capture_output=True, text=True, check=False, timeout=300
    )


def write(folder, topology, path="/"):
    spec = {
        "version": 1,
        "name": "inside",
        "title": "Inside",
        "objective": "See it work in a container.",
        "topology": topology,
        "load": {"request": {"path": path}},
        "stages": [{"rps": 50, "duration": "2s"}],
        "cooldown": "0s",
    }
    (folder / "inside.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))


def execute(image, folder, flags=FLAGS):
    words = ("execute", "--no-lock", "--no-calibrate", "inside.yaml", "--out", "run")
    return runner(image, folder, *words, flags=flags)


def stage_of(folder):
    (stage,) = json.loads((folder / "run" / "results.json").read_text())["configurations"][0]["stages"]
    return stage


def test_an_experiment_with_a_process_runs_in_the_container(image, tmp_path):
    app = {"command": ["app-server", "--host", "127.0.0.1", "--port", "{port}"], "health": "/healthz"}
    write(tmp_path, {"kind": "process", "app": app}, path="/session")

    done = execute(image, tmp_path, flags=[])

    assert done.returncode in {0, 4}, done.stderr  # 4: the machine is too busy to judge the stage
    assert stage_of(tmp_path)["cpu_cores"]["app"]["avg"] > 0
    assert (tmp_path / "run" / "report.html").exists()


def test_an_experiment_with_containers_uses_the_hosts_engine_and_observes_it(image, tmp_path):
    write(tmp_path, SERVED)

    done = execute(image, tmp_path, flags=FLAGS)

    assert done.returncode in {0, 4}, done.stderr
    cpu = stage_of(tmp_path)["cpu_cores"]
    assert cpu["app"]["avg"] > 0
    assert cpu["daemon"]["avg"] > 0


def test_without_the_hosts_processes_an_experiment_with_containers_says_which_flag_is_missing(
    image, tmp_path
):
    write(tmp_path, SERVED)

    done = execute(image, tmp_path, flags=[flag for flag in FLAGS if flag != "--pid=host"])

    assert done.returncode == 3
    assert "docker run --pid host" in done.stderr


def test_doctor_says_what_of_the_host_is_hidden(image, tmp_path):
    hidden = {
        check["name"]: check
        for check in json.loads(runner(image, tmp_path, "doctor", "--json", flags=[]).stdout)
    }
    shown = {check["name"]: check for check in json.loads(runner(image, tmp_path, "doctor", "--json").stdout)}

    assert hidden["the host's processes"]["status"] == "missing"
    assert hidden["Docker Engine"]["status"] == "missing"
    assert shown["the host's processes"]["status"] == shown["Docker Engine"]["status"] == "ok"
    assert shown["the host's control groups"]["status"] == "ok"
