"""A cache of the JavaScript for charts: generating it takes longer than all the rest of a page."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from runner.cache import cache_folder
from runner.core.units import BYTES_PER_MIB
from runner.report.charts.chart import VEGA_LITE
from runner.store.atomic_write import atomic_write
from runner.store.bounded_read import NotReadable, read_bounded
from runner.store.chart_process import chart_script, library_version

_MAX_BYTES: Final = 64 * BYTES_PER_MIB


def vega_bundle() -> str:
    """Return Vega, Vega-Lite and vega-embed as one script; empty without a working extra `charts`."""
    made_by = library_version()
    if made_by is None:
        return ""
    cache = cache_folder()
    file = cache / f"vega-lite-{VEGA_LITE}-by-{made_by}.js" if cache else None
    with suppress(NotReadable, UnicodeDecodeError):
        if file:
            return read_bounded(file, _MAX_BYTES, "a script").decode()
    script = chart_script()
    with suppress(OSError):  # without the cache the next report takes longer, nothing else
        if file and script:
            atomic_write(file, script.encode())
    return script
