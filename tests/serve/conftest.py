"""A running `runner serve` over a folder with good, damaged and hostile runs, one for each test file."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import httpx
import pytest

from tests.preloaded.client import BYTECODE, popen
from tests.serve.folders import add_archive, add_run

WITHIN_S = 90


class Served:
    """A server process.

    Attributes:
        url: Where it listens, without a slash at the end.
        port: Of that.
        folder: That it shows.
    """

    def __init__(self, folder, cache, *options):
        self.folder = folder
        command = [sys.executable, "-m", "runner", "serve", str(folder), "--port", "0", *options]
        environment = os.environ | BYTECODE | {"XDG_CACHE_HOME": str(cache)}
        self.process = popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        self.url = line.strip().rstrip("/")
        self.port = int(self.url.rpartition(":")[2])

    def get(self, path, **options):
        return httpx.get(self.url + path, timeout=WITHIN_S, **options)

    def list_when_read(self, path="/"):
        """Return the list once every run in it was read."""
        deadline = time.monotonic() + WITHIN_S
        while 'data-unread="0"' not in (text := self.get(path).text):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        return text

    def end(self, number=signal.SIGTERM):
        """Send a signal; return the exit status and what was printed on stderr."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=WITHIN_S)
        return self.process.returncode, errors


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """A cache folder that already has the chart library, where this machine has it."""
    place = tmp_path_factory.mktemp("serve-cache")
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    (place / "loadproof").mkdir()
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(os.path.join(home, "loadproof")):  # noqa: PTH118
            if entry.name.startswith("vega-lite"):
                (place / "loadproof" / entry.name).symlink_to(entry.path)
    return place


@pytest.fixture(scope="module")
def served(tmp_path_factory, cache):
    folder = tmp_path_factory.mktemp("runs")
    fill(folder)
    server = Served(folder, cache)
    yield server
    code, errors = server.end()
    assert (code, errors) == (-signal.SIGTERM, "")


def fill(folder):
    """Add four good runs, and everything that is none."""
    for number, faster in ((1, 1.0), (2, 1.25), (3, 0.5)):
        add_run(folder, number=number, faster=faster)
    add_run(folder, "capacity", 9)
    add_archive(folder)
    broken = add_archive(folder, name="broken.zip")
    content = bytearray(broken.read_bytes())
    content[4000] ^= 1
    broken.write_bytes(content)
    truncated = add_run(folder, "shop", 20) / "results.json"
    truncated.write_text(truncated.read_text()[:500])
    (add_run(folder, "shop", 21) / "results.json").unlink()
    garbled = add_run(folder, "shop", 22)
    (garbled / "results.json").unlink()
    with (garbled / "journal.ndjson").open("ab") as journal:
        journal.write(b"\xff\x00garbage\n" * 2)
    hostile = add_run(folder, number=30) / "results.json"
    results = json.loads(hostile.read_text())
    results["experiment"]["title"] = '<script>alert(1)</script>"><img src=x onerror=alert(2)>\x1b[31m'
    hostile.write_text(json.dumps(results))
    hostile.parent.rename(folder / "<b>&\"'%2e%2e\udcff")
    other = add_run(folder, number=31)
    results = json.loads((other / "results.json").read_text())
    results["experiment"]["spec_sha256"] = "0" * 64
    (other / "results.json").write_text(json.dumps(results))
    other.rename(folder / "two\nlines\x1b[31m")
    (folder / "away").symlink_to("/etc")
    pipe = folder / "pipe"
    pipe.mkdir()
    os.mkfifo(pipe / "results.json")
    os.mkfifo(pipe / "report.md")
    (pipe / "journal.ndjson").write_text("")
