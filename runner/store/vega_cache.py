"""A cache of the JavaScript for charts: generating it takes longer than all the rest of a page."""

from __future__ import annotations

from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from runner.cache import cache_folder
from runner.core.units import BYTES_PER_MIB
from runner.report.charts.chart import VEGA_LITE
from runner.store.atomic_write import atomic_write
from runner.store.bounded_read import NotReadable, read_bounded

_MAX_BYTES: Final = 64 * BYTES_PER_MIB


def vega_bundle() -> str:
    """Return Vega, Vega-Lite and vega-embed as one script; empty without a working extra `charts`."""
    try:
        made_by = version("vl-convert-python")
    except PackageNotFoundError:
        return ""
    cache = cache_folder()
    file = cache / f"vega-lite-{VEGA_LITE}-by-{made_by}.js" if cache else None
    with suppress(NotReadable, UnicodeDecodeError):
        if file:
            return read_bounded(file, _MAX_BYTES, "a script").decode()
    try:
        import vl_convert  # noqa: PLC0415  (an extra)
    except ImportError:
        return ""
    make: Any = vl_convert.javascript_bundle  # its stub demands an argument that is optional
    text: str = make(vl_version=VEGA_LITE)
    with suppress(OSError):  # without the cache the next report takes longer, nothing else
        if file:
            atomic_write(file, text.encode())
    return text
