"""Images come from the configured source, and a silent registry does not block a run."""

import socket
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from runner.core.errors import EnvironmentLacks
from runner.stack.docker import entrypoints, images
from runner.stack.docker.bases import STAND_INS, stand_in_for
from runner.stack.docker.build import build_image
from runner.stack.docker.engine import connect
from runner.stack.docker.images import Supplier, find_image
from tests.stack.docker.conftest import APP, needs_mmdebstrap

pytestmark = pytest.mark.docker

PYTHON = "python:3.12-slim"


@pytest.fixture
async def engine():
    engine = await connect()
    yield engine
    engine.close()


def supplier(engine, recorder, source):
    return Supplier(engine, recorder, recorder.lines.append, source, Path(tempfile.gettempdir()))


@needs_mmdebstrap
async def test_local_uses_the_stand_in_without_a_registry(engine, recorder):
    image = await supplier(engine, recorder, "local").obtain(PYTHON)

    assert image.stand_in
    assert image.name == STAND_INS[PYTHON].name
    assert image.id.startswith("sha256:")
    assert not any("pulling" in line for line in recorder.lines)


async def test_registry_never_uses_a_stand_in(engine, recorder):
    if await find_image(engine, PYTHON):
        pytest.skip(f"{PYTHON} is on this machine")

    with pytest.raises(EnvironmentLacks, match="cannot be pulled") as lacks:
        await supplier(engine, recorder, "registry").obtain(PYTHON)

    assert "LOADPROOF_IMAGES=auto" in lacks.value.hint


async def test_auto_reports_when_it_uses_a_stand_in(engine, recorder):
    image = await supplier(engine, recorder, "auto").obtain(PYTHON)

    assert image.stand_in == any("instead" in line for line in recorder.lines)


async def test_an_image_that_could_not_be_pulled_is_not_tried_again_in_a_run(engine, recorder):
    stacks = [replace(supplier(engine, recorder, "auto"), not_pulled=shared) for shared in [set()] * 2]

    first, second = [await stack.obtain(PYTHON) for stack in stacks]

    assert second == first
    assert recorder.lines.count(f"pulling {PYTHON}") <= 1
    assert sum("instead" in line for line in recorder.lines) == first.stand_in


async def test_a_silent_registry_times_out(engine, recorder, monkeypatch):
    monkeypatch.setattr(images, "_FIRST_RESPONSE_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        name = f"127.0.0.1:{silent.getsockname()[1]}/app:1"

        with pytest.raises(EnvironmentLacks, match="the registry does not respond"):
            await supplier(engine, recorder, "auto").obtain(name)


async def test_an_unchanged_folder_is_built_once(engine, recorder):
    first = await build_image(supplier(engine, recorder, "auto"), "app", APP.parent)
    recorder.lines.clear()

    second = await build_image(supplier(engine, recorder, "auto"), "app", APP.parent)

    assert second == first
    assert not any("building" in line for line in recorder.lines)


@pytest.mark.parametrize(
    ("name", "stand_in"),
    [
        ("python:3.12-slim", "loadproof-base/python:bookworm"),
        ("python:3.9", None),
        ("redis:7-alpine", "loadproof-base/redis:bookworm"),
        ("docker.io/library/postgres:16", "loadproof-base/postgres:bookworm"),
        ("postgres", "loadproof-base/postgres:bookworm"),
        ("nginx:1.28-alpine", "loadproof-base/nginx:bookworm"),
        ("nginx:stable", "loadproof-base/nginx-server:bookworm"),
        ("example.com/redis:7", None),
        ("bitnami/postgres:16", None),
    ],
)
def test_official_images_of_services_have_stand_ins_whatever_their_tag(name, stand_in):
    recipe = stand_in_for(name)

    assert (recipe.name if recipe else None) == stand_in


@pytest.mark.parametrize("text", [entrypoints.REDIS, entrypoints.POSTGRES])
def test_entry_points_are_programs_of_the_shell_that_they_name(text):
    shell = text.splitlines()[0].removeprefix("#!")

    assert subprocess.run([shell, "-n"], input=text, text=True, check=False).returncode == 0
