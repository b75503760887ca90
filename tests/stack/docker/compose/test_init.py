"""`runner init` reads a compose file without starting anything, with either version of Compose."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import trio

from runner.experiment.load import read_spec
from runner.stack.compose.probe import read_services
from tests.preloaded.client import SCRIPT, popen
from tests.stack.docker.compose.conftest import PROJECT

pytestmark = pytest.mark.docker


def init(*words):
    command = [SCRIPT, "init", *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with popen(command, env=os.environ, **pipes) as program:
        _, stderr = program.communicate(timeout=60)
    return program.returncode, stderr


def test_the_first_specification_names_the_file_relative_to_itself(tmp_path):
    out = tmp_path / "load.yaml"
    status, stderr = init(PROJECT / "docker-compose.yml", "--out", out)

    assert status == 0, stderr
    topology = read_spec(out.read_bytes(), source="load.yaml").configurations[0].topology
    assert (tmp_path / topology.files[0]).samefile(PROJECT / "docker-compose.yml")
    assert (topology.target.service, topology.target.port) == ("web", 8080)


def test_a_file_without_a_port_for_http_is_refused(tmp_path):
    (tmp_path / "compose.yml").write_text("services: {db: {image: 'postgres:16', ports: ['5432']}}")
    status, stderr = init(tmp_path / "compose.yml")

    assert status == 2
    assert "publishes or exposes a port for HTTP" in stderr


@pytest.mark.skipif(
    not shutil.which("docker-compose") and os.environ.get("CI") != "true", reason="Compose 1 is not installed"
)
def test_version_1_reads_the_same(tmp_path, monkeypatch):
    new = trio.run(read_services, PROJECT / "docker-compose.yml")
    (tmp_path / "docker-compose").symlink_to(Path(shutil.which("docker-compose")))
    monkeypatch.setenv("PATH", str(tmp_path))
    old = trio.run(read_services, PROJECT / "docker-compose.yml")

    assert old == new
