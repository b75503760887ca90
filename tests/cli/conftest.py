import contextlib
import gc
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from runner.cache import cache_folder
from runner.cli.exit_codes import exit_code_of
from runner.cli.main import app
from runner.store import vega_cache
from tests.preloaded.client import BYTECODE, SCRIPT, popen, running

ROOT = Path(__file__).parents[2]
WITHOUT_PICTURES = ROOT / "tests" / "without_pictures"


class Cli:
    """The command line in a folder of its own.

    Calling it, `start` and `popen` run `runner` in a process of its own, see `tests/preloaded`. `in_process`
    is faster, for tests without load, signals and streams. Where it matters how Python starts, start `words`.

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
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return self.popen(_words(arguments, calibrate=calibrate), **pipes, **keywords)

    def popen(self, arguments, *, before=(), env=None, cwd=None, **keywords) -> subprocess.Popen:
        """Start `runner` with these arguments as they are, after the words of a wrapper, in a new session."""
        words = [*before, *self.words(arguments)]
        environment = self.environment | (env or {})
        return popen(words, cwd=cwd or self.folder, env=environment, start_new_session=True, **keywords)

    def __call__(self, *arguments, **keywords) -> subprocess.CompletedProcess:
        process = self.start(*arguments, **keywords)
        out, err = process.communicate(timeout=60)
        return _checked(process.args, process.returncode, out, err)

    def in_process(self, *arguments) -> subprocess.CompletedProcess:
        with contextlib.chdir(self.folder):
            return self.in_this_folder(*arguments)

    def in_this_folder(self, *arguments) -> subprocess.CompletedProcess:
        """Run a command in this process and in its current folder, whatever has become of that."""
        words = _words(arguments)
        with CliRunner().isolation(env=self._environment) as (out, err, _):
            code = exit_code_of(app, words)
        gc.unfreeze()  # a run freezes all objects, which are those of the tests here
        return _checked(words, code, out.getvalue().decode(), err.getvalue().decode())

    @staticmethod
    def words(arguments) -> list[str]:
        """The command line of a process."""
        return [SCRIPT, *map(str, arguments)]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a process."""
        return os.environ | BYTECODE | self._environment

    @property
    def _environment(self) -> dict[str, str]:
        return {
            "LOADPROOF_TEST": str(self.folder),
            "XDG_CACHE_HOME": str(self.cache),
            "PYTHONPATH": str(ROOT) if self.pictures else f"{WITHOUT_PICTURES}:{ROOT}",
        }


def _words(arguments, *, calibrate=False) -> list[str]:
    """Only `tests/stack/test_host_lock.py` needs the host lock, so that tests can run in parallel."""
    words = list(map(str, arguments))
    if words[:1] == ["execute"]:
        as_started = calibrate or "--resume" in words
        words += ["--no-lock", *([] if as_started else ["--no-calibrate"])]
    return words


def _checked(args, code, out, err) -> subprocess.CompletedProcess:
    assert "Traceback" not in out + err, err
    assert "error: this is a bug" not in err, err
    return subprocess.CompletedProcess(args, code, out, err)


def keep_bundle(cache: Path) -> None:
    """Reuse the script of the charts: it is the same for all tests, and takes longer than most of them."""
    if vega_cache.vega_bundle():
        cache.mkdir(parents=True)
        for made in cache_folder().glob("vega-lite-*.js"):
            (cache / made.name).symlink_to(made)


def in_turn(ones: Iterable, others: Iterable) -> list[tuple]:
    """Return each of the ones with one of the others in turn, for tests that need no product of both."""
    return list(zip(ones, itertools.cycle(others), strict=False))


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
    """Return the command lines of all processes that a test's commands started, directly or not."""
    mark = f"LOADPROOF_TEST={folder}".encode()
    commands = running("LOADPROOF_TEST", str(folder))
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if command and mark in environment.split(b"\0"):
            commands.append(command)
    return commands
