"""The archive's metadata are an RO-Crate 1.2 and a Process Run Crate 0.5, says a tool that others wrote."""

import json
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


@pytest.fixture(scope="module")
def issues(tmp_path_factory, files) -> dict[str, list[str]]:
    """What is wrong with a crate as it is packed, and with one that lacks a property, by one validator."""
    place = tmp_path_factory.mktemp("crates")
    (place / "run.zip").write_bytes(pack(files))
    for name in ("packed", "damaged"):
        extract(read_archive(place / "run.zip"), place / name)
    metadata = place / "damaged" / CRATE
    metadata.write_text(metadata.read_text().replace('"instrument"', '"tool"'))
    context = node_tools() / "node_modules" / "ro-crate" / "lib" / "context.json"
    crates = [
        place / "packed",
        "ro-crate-1.2,process-run-crate-0.5",
        place / "damaged",
        "process-run-crate-0.5",
    ]
    command = [sys.executable, Path(__file__).with_name("roc.py"), context, *crates]
    environment = os.environ | {"PYTHONPATH": str(validator())}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    results = list(map(json.loads, done.stdout.splitlines()))
    assert [checked > least for (checked, _), least in zip(results, (100, 30), strict=True)] == [True, True]
    return dict(zip(("packed", "damaged"), (unmet for _, unmet in results), strict=True))


def test_every_requirement_of_both_profiles_is_met(issues):
    assert issues["packed"] == []


def test_the_validator_finds_a_missing_property(issues):
    assert "instrument" in "\n".join(issues["damaged"])
