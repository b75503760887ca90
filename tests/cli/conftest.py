import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from runner.store import vega_cache

ROOT = Path(__file__).parents[2]
WITHOUT_PICTURES = ROOT / "tests" / "without_pictures"


class Cli:
    """The real command line in a folder of its own.

    Attributes:
        pictures: Whether reports get their charts, which takes a second each.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pictures = False
        self.cache = folder.with_name(f"{folder.name}-cache")
        keep_bundle(self.cache / "loadproof")

    def write(self, **changes) -> Path:
        spec = {
            "version": 1,
            "name": "tiny",
            "title": "Tiny",
            "objective": "See it work.",
            "topology": {"kind": "process", "app": {"command": app_command(), "ready_within": "10s"}},
            "load": {"request": {"path": "/"}, "timeout": "1s"},
            "stages": [{"rps": 50, "duration": "1s"}],
            "cooldown": "0s",
        }
        path = self.folder / "tiny.yaml"
        path.write_text(yaml.safe_dump(spec | changes, sort_keys=False))
        return path

    def start(self, *arguments, calibrate=False, **keywords) -> subprocess.Popen:
        """Start it. Only `tests/stack/test_host_lock.py` needs the host lock, so that tests can run in parallel."""
        if arguments[0] == "execute":
            as_begun = calibrate or "--resume" in arguments
            arguments = (*arguments, "--no-lock", *([] if as_begun else ["--no-calibrate"]))
        return subprocess.Popen(
            [Path(sys.executable).parent / "runner", *map(str, arguments)],
            cwd=self.folder,
            env=os.environ
            | {
                "PYTHONPATH": str(ROOT) if self.pictures else f"{WITHOUT_PICTURES}:{ROOT}",
                "LOADPROOF_TEST": str(self.folder),
                "XDG_CACHE_HOME": str(self.cache),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **keywords,
        )

    def __call__(self, *arguments, **keywords) -> subprocess.CompletedProcess:
        process = self.start(*arguments, **keywords)
        out, err = process.communicate(timeout=60)
        assert "Traceback" not in out + err, err
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def keep_bundle(cache: Path) -> None:
    """The charts' script is the same for all tests, and making it takes longer than most of them."""
    if vega_cache.vega_bundle():
        cache.mkdir(parents=True)
        for made in vega_cache._folder().glob("vega-lite-*.js"):
            (cache / made.name).symlink_to(made)


def app_command(fault: str = "none", *more: str) -> list[str]:
    return [sys.executable, "-m", "tests.servers.small_app", "--port", "{port}", "--fault", fault, *more]


@pytest.fixture
def cli(tmp_path) -> Cli:
    return Cli(tmp_path)


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path):
    """No process that the command line started outlives the test."""
    yield
    deadline = time.monotonic() + 5
    while leftovers(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert leftovers(tmp_path) == []


def leftovers(folder: Path) -> list[str]:
    """Command lines of all processes that were started, at whatever remove, from a test's folder."""
    mark = f"LOADPROOF_TEST={folder}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if command and mark in environment.split(b"\0"):
            found.append(command)
    return found
