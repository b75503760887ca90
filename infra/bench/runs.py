"""How soon the runs of a large folder are listed: by the index, on the terminal, and in the browser.

The folder has 10,000 runs. Each has the files of one real run, with an id, a time and an experiment of its
own.
"""

from __future__ import annotations

import http
import http.client
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from runner.core.units import Seconds

Row = tuple[str, str, str, bool]
RUNS: Final = 10_000
WANTED_S: Final[Seconds] = 1.0
_TIMES: Final = 5
_EXPERIMENTS: Final = 25
_FOLDERS: Final = 50
_SOURCE: Final = Path(__file__).parents[2] / "reports" / "quickstart"
_RUNNER: Final = Path(sys.executable).with_name("runner")
_FIRST: Final = datetime(2026, 1, 1, tzinfo=UTC)
_ADDRESS: Final = re.compile(r"http://\S+")
_LIST: Final = """\
import sys
from pathlib import Path
from runner.archive.results_from import read_results_of
from runner.store.run_index import list_runs
print(len(list_runs(Path(sys.argv[1]), read_results_of)))
"""


class Took(NamedTuple):
    """How long something took, and the CPU time of the processes that it started."""

    wall_s: Seconds
    cpu_s: Seconds


def many_runs() -> Iterator[Row]:
    """Yield how long a list of 10,000 runs takes, with and without what was read before."""
    with tempfile.TemporaryDirectory() as place:
        folder, cache = Path(place, "runs"), Path(place, "cache")
        make_runs(folder, RUNS)
        os.environ["XDG_CACHE_HOME"] = str(cache)
        listed = [sys.executable, "-c", _LIST, str(folder)]
        yield _row("list_runs, nothing read before", [_timed(lambda: _output(listed))], wanted_s=None)
        yield _row("list_runs", _repeated(lambda: _output(listed)))
        yield _row("runner runs", _repeated(lambda: _output([_RUNNER, "runs", folder])))
        first, pages = _served(folder)
        yield _row("runner serve, from its start to the first answer, a list page", first)
        yield _row("runner serve, a list page", pages)
        shutil.rmtree(cache)
        unread, _ = _served(folder, times=1, is_known=False)
        yield _row("runner serve, from its start to the first answer, nothing read before", unread)


def make_runs(folder: Path, number: int) -> None:
    """Make so many folders of runs; files that need not differ are hard links."""
    folder.mkdir()
    text = (_SOURCE / "results.json").read_text(encoding="utf-8")
    shared = [
        Path(shutil.copyfile(file, folder.parent / file.name))  # a link needs the same file system
        for file in _SOURCE.iterdir()
        if file.is_file() and file.name != "results.json"
    ]
    for at in range(number):
        run = folder / f"{at % _FOLDERS:02}" / f"run-{at:05}"
        (run / "charts").mkdir(parents=True)
        (run / "results.json").write_text(_as_run(text, at), encoding="utf-8")
        for file in shared:
            os.link(file, run / file.name)


def _as_run(text: str, at: int) -> str:
    started = _FIRST + timedelta(minutes=10 * at)
    changes = {
        "id": f"{at:08x}",
        "started_at": started.isoformat(timespec="seconds"),
        "finished_at": (started + timedelta(minutes=1)).isoformat(timespec="seconds"),
        "name": f"experiment-{at % _EXPERIMENTS:02}",
    }
    for key, value in changes.items():
        text, found = re.subn(rf'("{key}": )"[^"]*"', rf'\g<1>"{value}"', text, count=1)
        if not found:
            sys.exit(f"{_SOURCE}/results.json has no {key}")
    return text


def _row(what: str, took: Sequence[Took], wanted_s: Seconds | None = WANTED_S) -> Row:
    wall_s, cpu_s = (statistics.median(part) for part in zip(*took, strict=True))
    wanted = "" if wanted_s is None else f"< {wanted_s:.0f} s"
    good = wanted_s is None or wall_s < wanted_s
    return f"{RUNS:,} runs: {what}", f"{wall_s:.2f} s, CPU {cpu_s:.2f} s", wanted, good


def _repeated(action: Callable[[], object]) -> list[Took]:
    return [_timed(action) for _ in range(_TIMES)]


def _timed(action: Callable[[], object]) -> Took:
    begun, used = time.monotonic(), _cpu_of_children()
    action()
    return Took(time.monotonic() - begun, _cpu_of_children() - used)


def _cpu_of_children() -> Seconds:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _output(command: Sequence[str | Path]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with exit code {done.returncode}: {done.stderr}")
    return done.stdout


def _served(folder: Path, times: int = _TIMES, *, is_known: bool = True) -> tuple[list[Took], list[Took]]:
    """Start a server so many times; return when its list was there first, and once more."""
    first, pages = [], []
    for _ in range(times):
        begun = time.monotonic()
        server = subprocess.Popen(
            [_RUNNER, "serve", folder, "--port", "0"],
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            address = _address(server)
            _get(address, is_known=is_known)
            first.append(Took(time.monotonic() - begun, _cpu_of(server.pid)))
            before = _cpu_of(server.pid)
            begun = time.monotonic()
            _get(address, is_known=is_known)
            pages.append(Took(time.monotonic() - begun, _cpu_of(server.pid) - before))
        finally:
            server.terminate()
            server.communicate()
    return first, pages


def _address(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    found = _ADDRESS.search(server.stdout.readline())
    if found is None:
        sys.exit("runner serve has printed no address")
    return found[0]


def _get(page: str, *, is_known: bool) -> None:
    """Read a list to its end; one that knows nothing yet may say that it still looks for runs."""
    address = urlsplit(page)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)
    connection.request("GET", address.path or "/")
    response = connection.getresponse()
    content = response.read()
    connection.close()
    is_good = f"{RUNS:,}".encode() in content or (not is_known and b"Looking for runs" in content)
    if response.status != http.HTTPStatus.OK or not is_good:
        sys.exit(f"{page} has status {response.status}, or does not list {RUNS:,} runs")


def _cpu_of(pid: int) -> Seconds:
    """Return the CPU time of a process without its children."""
    numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")
