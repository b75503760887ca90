"""A cache of the JavaScript for charts: generating it takes longer than all the rest of a page."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from runner.report.charts.chart import VEGA_LITE
from runner.store.atomic_write import atomic_write


def vega_bundle() -> str:
    """Return Vega, Vega-Lite and vega-embed as one script; empty without a working extra `charts`."""
    try:
        made_by = version("vl-convert-python")
    except PackageNotFoundError:
        return ""
    file = _folder() / f"vega-lite-{VEGA_LITE}-by-{made_by}.js"
    with suppress(OSError, UnicodeDecodeError):
        return file.read_text(encoding="utf-8")
    try:
        import vl_convert  # noqa: PLC0415  (an extra)
    except ImportError:
        return ""
    make: Any = vl_convert.javascript_bundle  # its stub demands an argument that is optional
    text: str = make(vl_version=VEGA_LITE)
    with suppress(OSError):  # without the cache the next report takes longer, nothing else
        atomic_write(file, text.encode())
    return text


def _folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "loadproof"
