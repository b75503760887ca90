"""`runner execute --live`: the page of the run, served by a process of its own while the run lasts."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from runner.cli.output import say
from runner.core.units import Seconds
from runner.serve.listening import address_of, listen

_HOST: Final = "127.0.0.1"
_SERVER: Final = "runner.serve.live_server"
_ENDS_WITHIN_S: Final[Seconds] = 20.0
"""Longer than the process waits for its viewers."""
_REPORTS: Final = "reports"
_LOST: Final = (
    "the server of the live page has ended, so the page shows nothing new; the run goes on, and its report "
    "is written as always"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page shows a run.

    Attributes:
        folder: What is served.
        path: Of the run in it; empty for the folder itself.
    """

    folder: Path
    path: str


def place_of(out: Path) -> Place:
    """Return the folder to serve: all reports if the run is one of them, else the run's alone."""
    run, reports = out.absolute(), Path(_REPORTS).absolute()
    if run != reports and run.is_relative_to(reports):
        return Place(reports, str(run.relative_to(reports)))
    return Place(run, "")


@dataclass(frozen=True, slots=True)
class LivePage:
    """A page that is served.

    Attributes:
        url: Its address.
        pid: Of the process that serves it.
        _is_ending: Set when that is asked to end.
    """

    url: str
    pid: int
    _is_ending: threading.Event = field(default_factory=threading.Event)

    def tell_of_its_end(self, tell: Callable[[str], object]) -> None:
        """Tell once, from a thread of its own, if the page's server ends before the run does."""
        threading.Thread(target=self._wait, args=[tell], daemon=True).start()

    def ends(self) -> None:
        """Tell nothing from now on: the run has ended."""
        self._is_ending.set()

    def _wait(self, tell: Callable[[str], object]) -> None:
        with suppress(ChildProcessError):  # it has ended, and nothing was to be told
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        if not self._is_ending.is_set():
            tell(_LOST)


@contextmanager
def live_page(out: Path, port: int) -> Iterator[LivePage]:
    """Serve the page of a run while the context lasts, and until its viewers have the report.

    Args:
        out: The run's folder.
        port: 0 for any free one.

    Raises:
        EnvironmentLacks: The port is not free.
    """
    place = place_of(out)
    with listen(_HOST, port, "--live-port") as listening:
        url = f"{address_of(_HOST, listening)}live/{quote(os.fsencode(place.path))}"
        descriptor = listening.fileno()
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", _SERVER, place.folder, place.path, str(descriptor)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[descriptor],
            start_new_session=True,
        )
    page = LivePage(url, process.pid)
    try:
        say(f"live page: {url}")
        _open_browser(url)
        yield page
    finally:
        page.ends()
        _end(process)


def _open_browser(url: str) -> None:
    """Open the page where somebody sits in front of a desktop."""
    has_desktop = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    if has_desktop and sys.stderr.isatty() and not os.environ.get("CI"):
        with suppress(webbrowser.Error, OSError):
            webbrowser.open(url)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let the page's viewers get the report, and end it; Ctrl-C ends it at once."""
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.close()
    try:
        process.wait(_ENDS_WITHIN_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)
    finally:
        process.kill()
        process.wait()
