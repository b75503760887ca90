"""The charts' JavaScript, put together once and kept: making it takes longer than all the rest of a page."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from runner.report.charts.chart import VEGA_LITE


def vega_bundle() -> str:
    """Vega, Vega-Lite and vega-embed as one script; empty without a working extra `charts`."""
    try:
        made_by = version("vl-convert-python")
    except PackageNotFoundError:
        return ""
    kept = _folder() / f"vega-lite-{VEGA_LITE}-by-{made_by}.js"
    with suppress(OSError, UnicodeDecodeError):
        return kept.read_text(encoding="utf-8")
    try:
        import vl_convert  # noqa: PLC0415  (an extra)
    except ImportError:
        return ""
    make: Any = vl_convert.javascript_bundle  # its stub asks for an argument that is optional
    text: str = make(vl_version=VEGA_LITE)
    _keep(kept, text)
    return text


def _folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "loadproof"


def _keep(file: Path, text: str) -> None:
    """Whole or not at all; a cache that cannot be written costs time and nothing else."""
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as draft:
            draft.write(text)
        Path(draft.name).replace(file)
