"""The archive's metadata are an RO-Crate 1.2 and a Process Run Crate 0.5, says a tool that others wrote."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from runner.archive.crate import CRATE
from runner.archive.pack import pack
from runner.archive.unpack import extract, read_archive
from tests.publish.node_tools import folder, node_tools

ROC = "roc-validator==0.13.0"
pytestmark = pytest.mark.crate


def validator() -> Path:
    """A folder with roc-validator, fetched once; its needs and ours exclude each other."""
    place = folder().with_name(ROC.replace("==", "-"))
    if not place.is_dir():
        draft = place.with_name(f"{place.name}.{os.getpid()}")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", draft, ROC]
        subprocess.run(command, check=True, timeout=300, stdin=subprocess.DEVNULL)
        with suppress(OSError):  # another one was quicker
            draft.rename(place)
    return place


def issues(crate: Path, *profiles: str) -> list[str]:
    context = node_tools() / "node_modules" / "ro-crate" / "lib" / "context.json"
    command = [sys.executable, Path(__file__).with_name("roc.py"), context, crate, *profiles]
    environment = os.environ | {"PYTHONPATH": str(validator())}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    *found, checked = done.stdout.splitlines()
    assert int(checked.removeprefix("checked: ")) > 60
    return found


@pytest.fixture
def crate(tmp_path, files) -> Path:
    path = tmp_path / "run.zip"
    path.write_bytes(pack(files))
    extract(read_archive(path), tmp_path / "crate")
    return tmp_path / "crate"


def test_every_requirement_of_both_profiles_is_met(crate):
    assert issues(crate, "ro-crate-1.2", "process-run-crate-0.5") == []


def test_the_validator_finds_a_missing_property(crate):
    metadata = crate / CRATE
    metadata.write_text(metadata.read_text().replace('"datePublished"', '"published"'))

    assert "datePublished" in "\n".join(issues(crate, "ro-crate-1.2"))
