"""What CI prepares is prepared, and preparing again changes nothing."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack.docker.conftest import needs_mmdebstrap

INFRA = Path(__file__).parents[2] / "infra"


@needs_mmdebstrap
@pytest.mark.docker
@pytest.mark.nginx
def test_a_prepared_machine_is_left_as_it_is():
    done = subprocess.run(["bash", INFRA / "ci" / "prepare"], capture_output=True, text=True, check=True)

    assert done.stderr == "prepare: ready\n"


@needs_mmdebstrap
@pytest.mark.docker
def test_both_stand_ins_are_there_afterwards():
    command = [sys.executable, INFRA / "images" / "build.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "stands in for python:3.12-slim: sha256:" in done.stderr
    assert "stands in for nginx:1.28-alpine: sha256:" in done.stderr


def test_make_unit_runs_every_test_with_an_engine_in_a_part_that_has_it():
    """The part that runs all others leaves them out."""
    root = INFRA.parent
    variables = dict(
        re.findall(r"^(DOCKER|SWARM|QUIET) := (.*)$", (root / "Makefile").read_text(), re.MULTILINE)
    )
    parts = [root / path for value in variables.values() for path in value.split()]
    users = [
        path
        for path in (root / "tests").rglob("*.py")
        if re.search(r"\bmark\.(docker|installers)\b", path.read_text())
    ]

    assert len(users) > 10
    assert [path for path in users if not any(path.is_relative_to(part) for part in parts)] == []


def test_every_module_of_the_benchmarks_can_be_imported():
    modules = [path.stem for path in (INFRA / "bench").glob("*.py")]
    code = "import importlib, sys; [importlib.import_module(f'infra.bench.{name}') for name in sys.argv[1:]]"

    subprocess.run([sys.executable, "-c", code, *modules], cwd=INFRA.parent, check=True)
