"""Makes the folders in which the commands of a page are run: the files that the page takes for granted."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.docs.console import ROOT
from tests.preloaded import client as preloaded

RECORDED: Final = ROOT / "tests/importers/files"
RUNNER: Final = Path(sys.executable).with_name("runner")

_WRAPPER: Final = f"""#!/bin/sh
# other tests run experiments at the same time
if [ "$1" = execute ]; then exec {RUNNER} "$@" --no-lock --no-calibrate; fi
exec {RUNNER} "$@"
"""
_SERVICE: Final = f"""#!/bin/sh
exec {sys.executable} {ROOT}/tests/servers/small_app.py "$@"
"""
_SPECIFICATION: Final = f"""
version: 1
name: my-service
topology:
  kind: process
  app: {{command: [{sys.executable}, -m, http.server, --bind, 127.0.0.1, "{{port}}"], health: /}}
load: {{request: {{path: /}}}}
stages: [{{rps: 20, duration: 2s}}, {{rps: 40, duration: 2s}}]
cooldown: 0s
"""


@dataclass(frozen=True, slots=True)
class Runs:
    """Two runs of one experiment, as folders with archives."""

    folders: tuple[Path, Path]

    @property
    def archives(self) -> tuple[Path, Path]:
        first, second = (next(folder.glob("*.zip")) for folder in self.folders)
        return first, second


def surroundings(folder: Path) -> dict[str, str]:
    """Return the environment of a reader's shell; reports have no pictures, which take a second each."""
    home = folder / "home"
    home.mkdir()
    return os.environ | {
        "PATH": f"{programs(folder)}:{RUNNER.parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "PYTHONPATH": f"{ROOT}/tests/without_pictures:{ROOT}",
    }


def programs(folder: Path) -> Path:
    """Make the folder that `runner` is found in."""
    place = folder / "bin"
    place.mkdir(parents=True)
    (place / "runner").write_text(_WRAPPER)
    (place / "runner").chmod(0o755)
    return place


def runner_words(arguments: list[str]) -> list[str]:
    """Return the words that the wrapper in PATH would start."""
    beside = ["--no-lock", "--no-calibrate"] if arguments[0] == "execute" else []
    return [str(RUNNER), *arguments, *beside]


def run(
    words: list[str], *, cwd: Path, env: Mapping[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; `runner` as a fork, see `tests/preloaded`."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with preloaded.popen(words, cwd=cwd, env=env, **pipes) as process:
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def measure(folder: Path) -> Runs:
    """Run the experiment of the archives twice."""
    specification = folder / "my-service.yaml"
    specification.write_text(_SPECIFICATION)
    environment = surroundings(folder)
    outs = folder / "reports/my-service/1", folder / "reports/my-service/2"
    for out in outs:
        words = runner_words(["execute", str(specification), "--out", str(out), "--quiet"])
        done = run(words, cwd=folder, env=environment, timeout_s=120)
        assert list(out.glob("*.zip")), done.stderr
    return Runs(outs)


def shorten(specification: Path) -> None:
    """Make the stages of a specification short and easy: what is tested is the page, not the service."""
    text = specification.read_text()
    stage = r"(?m)^( +- \{rps: \d+)0, duration: \d+s, warmup: \d+s\}"
    specification.write_text(re.sub(stage, r"\1, duration: 1s}", text))


def _with_service(folder: Path, _runs: Runs) -> None:
    (folder / "my-service").write_text(_SERVICE)
    (folder / "my-service").chmod(0o755)


def _with_recordings(folder: Path, _runs: Runs) -> None:
    for name, source in {
        "shop.har": "chrome.har",
        "openapi.yaml": "petstore.yaml",
        "shop.postman_collection.json": "collection.json",
    }.items():
        shutil.copy(RECORDED / source, folder / name)
    (folder / "access.log.gz").write_bytes(gzip.compress((RECORDED / "access.log").read_bytes()))


def _with_runs(folder: Path, runs: Runs) -> None:
    for name, archive in zip(("before.zip", "after.zip"), runs.archives, strict=True):
        shutil.copy(archive, folder / name)
    shutil.copy(runs.archives[0], folder / "run.zip")
    for number, run in enumerate(runs.folders):
        shutil.copytree(run, folder / f"reports/my-service/{number}")


def _with_runs_and_specification(folder: Path, runs: Runs) -> None:
    _with_runs(folder, runs)
    (folder / "my-service.yaml").write_text(_SPECIFICATION)


def _with_repository(folder: Path, _runs: Runs) -> None:
    for name in ("experiments", "app_server"):
        (folder / name).symlink_to(ROOT / name)


PREPARE: Final[Mapping[str, Callable[[Path, Runs], None]]] = {
    "README.md": _with_service,
    "docs/archives.md": _with_runs,
    "docs/ci.md": _with_runs,
    "docs/comparing.md": _with_runs,
    "docs/import.md": _with_recordings,
    "docs/install.md": _with_service,
    "docs/outputs.md": _with_runs,
    "docs/scenarios.md": _with_repository,
    "docs/serve.md": _with_runs_and_specification,
}
"""By page; a page without an entry starts in an empty folder."""
