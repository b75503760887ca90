"""Charts as SVG and their script, made in a child process whose end costs the charts and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from threading import Thread
from typing import Final, TypeAlias

from runner.core.units import BYTES_PER_MIB, Seconds
from runner.report.charts.chart import VEGA_LITE, Chart, themed
from runner.report.charts.render import light_and_dark

Pictures: TypeAlias = dict[str, tuple[str, bytes, bytes]]
"""Name of a chart to its alternative text, its light picture and its dark one."""

_TIMEOUT_S: Final[Seconds] = 60.0
_WORKER: Final = "runner.store.chart_worker"
_LIBRARY: Final = "vl-convert-python"
_MAX_SVG: Final = 16 * BYTES_PER_MIB
_early: list[subprocess.Popen[bytes]] = []
"""A child process that waits for charts, if one was prepared."""


def library_version() -> str | None:
    """Return the version of the library that draws charts; None without the extra `charts`."""
    try:
        return version(_LIBRARY)
    except PackageNotFoundError:
        return None


def draw(charts: Sequence[Chart]) -> Pictures:
    """Return the pictures of these charts; the same data give the same bytes.

    A chart that cannot be drawn is left out. If the child process dies or takes more than a minute, the
    charts that it had not finished are left out.
    """
    if not charts or library_version() is None:
        return {}
    drawn: Pictures = {}
    for chart, svg in zip(charts, _svgs(charts), strict=False):
        if svg is not None:
            drawn[chart.name] = (chart.alt, *light_and_dark(svg))
    return drawn


def begin_drawing(charts: Sequence[Chart]) -> Future[Pictures]:
    """Draw charts while the caller does something else; see `draw`."""
    pictures: Future[Pictures] = Future()

    def run() -> None:
        try:
            pictures.set_result(draw(charts))
        except Exception as error:  # noqa: BLE001  (the caller gets it with the result)
            pictures.set_exception(error)

    Thread(target=run, name="charts", daemon=True).start()  # an interrupted command does not wait for it
    return pictures


def chart_script() -> str:
    """Return Vega, Vega-Lite and vega-embed as one script; empty if the library cannot make it."""
    lines = _output_of_child(None).splitlines(keepends=True)
    script = json.loads(lines[0]) if lines and lines[0].endswith(b"\n") else ""
    return script if isinstance(script, str) else ""


def _svgs(charts: Sequence[Chart]) -> Iterator[str | None]:
    """Yield each chart as SVG in light colours, None if it cannot be drawn; fewer if the child died."""
    try:
        request = json.dumps([themed(chart, dark=False) for chart in charts], allow_nan=False).encode()
    except ValueError:  # a number that is none
        return
    for line in _output_of_child(request).splitlines(keepends=True):
        if not line.endswith(b"\n"):
            return
        svg = json.loads(line)
        yield svg if isinstance(svg, str) and len(svg) <= _MAX_SVG else None


def prepare() -> None:
    """Start the child process now that the next charts are drawn in: to load the library takes a second."""
    if not _early and library_version() is not None:
        with suppress(OSError):
            _early.append(_start("early"))


def discard() -> None:
    """End the child process that was prepared if nothing was drawn in it."""
    while _early:
        _killed(_early.pop())


def _start(*more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", _WORKER, VEGA_LITE, *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C ends the runner in its own way, not the charts
    )


def _output_of_child(request: bytes | None) -> bytes:
    """Return what the child printed, complete or not; None requests the script."""
    try:
        child = _early.pop() if _early else _start()
    except OSError:
        return b""
    try:
        return child.communicate(request or b"null", _TIMEOUT_S)[0]
    except subprocess.TimeoutExpired:
        return _killed(child)
    except BaseException:
        child.kill()
        raise


def _killed(child: subprocess.Popen[bytes]) -> bytes:
    """End a child; returns what it printed."""
    child.kill()
    return child.communicate()[0]
