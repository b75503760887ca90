import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


class Cli:
    """The real command line in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

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

    def start(self, *arguments, **keywords) -> subprocess.Popen:
        return subprocess.Popen(
            [Path(sys.executable).parent / "runner", *map(str, arguments)],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **keywords,
        )

    def __call__(self, *arguments) -> subprocess.CompletedProcess:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        assert "Traceback" not in out + err, err
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def app_command(fault: str = "none", *more: str) -> list[str]:
    return [sys.executable, "-m", "tests.servers.small_app", "--port", "{port}", "--fault", fault, *more]


@pytest.fixture
def cli(tmp_path) -> Cli:
    return Cli(tmp_path)


@pytest.fixture(autouse=True)
def nothing_is_left():
    """No process of a run outlives the test."""
    yield
    assert leftovers() == []


def leftovers() -> list[str]:
    """Command lines of all processes that carry a run's cookie or are its watchdog or workers."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        if not command:
            continue
        ours = "runner.load.worker" in command or "runner.stack.watchdog" in command
        if ours or b"LOADPROOF_RUN=" in environment:
            found.append(command)
    return found
