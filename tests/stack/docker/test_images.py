"""Images come from where the setting says, and a registry that is silent does not hold a run up."""

import socket
import tempfile
from pathlib import Path

import pytest

from runner.core.errors import EnvironmentLacks
from runner.stack.docker import images
from runner.stack.docker.bases import STAND_INS
from runner.stack.docker.build import build_image
from runner.stack.docker.engine import connect
from runner.stack.docker.images import Supplier, find
from tests.stack.docker.conftest import APP, needs_mmdebstrap

pytestmark = pytest.mark.docker

PYTHON = "python:3.12-slim"


@pytest.fixture
async def engine():
    engine = await connect()
    yield engine
    engine.close()


def supplier(engine, said, source):
    return Supplier(engine, said, said.lines.append, source, Path(tempfile.gettempdir()))


@needs_mmdebstrap
async def test_local_takes_the_stand_in_without_asking_a_registry(engine, said):
    image = await supplier(engine, said, "local").obtain(PYTHON)

    assert image.stand_in
    assert image.name == STAND_INS[PYTHON].name
    assert image.id.startswith("sha256:")
    assert not any("pulling" in line for line in said.lines)


async def test_registry_never_takes_a_stand_in(engine, said):
    if await find(engine, PYTHON):
        pytest.skip(f"{PYTHON} is on this machine")

    with pytest.raises(EnvironmentLacks, match="cannot be pulled") as lacks:
        await supplier(engine, said, "registry").obtain(PYTHON)

    assert "LOADPROOF_IMAGES=auto" in lacks.value.hint


async def test_auto_says_when_it_takes_a_stand_in(engine, said):
    image = await supplier(engine, said, "auto").obtain(PYTHON)

    assert image.stand_in == any("stands in for it" in line for line in said.lines)


async def test_a_registry_that_never_answers_is_given_up(engine, said, monkeypatch):
    monkeypatch.setattr(images, "_FIRST_ANSWER_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        name = f"127.0.0.1:{silent.getsockname()[1]}/app:1"

        with pytest.raises(EnvironmentLacks, match="the registry does not answer"):
            await supplier(engine, said, "auto").obtain(name)


async def test_an_unchanged_folder_is_built_once(engine, said):
    first = await build_image(supplier(engine, said, "auto"), "app", APP.parent)
    said.lines.clear()

    again = await build_image(supplier(engine, said, "auto"), "app", APP.parent)

    assert again == first
    assert not any("building" in line for line in said.lines)
