"""Scripts and styles under /static, each with an address that changes when its content does."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Final

_PACKAGES: Final = {
    "page.css": "runner.report",
    "page.js": "runner.report",
    "theme.js": "runner.report",
    "serve.css": "runner.serve",
    "serve.js": "runner.serve",
    "charts.js": "runner.serve",
    "live.css": "runner.serve",
    "live.js": "runner.serve",
    "live_chart.js": "runner.serve",
    "live_proof.js": "runner.serve",
    "live_run.js": "runner.serve",
    "live_numbers.js": "runner.serve",
}
"""Name of a file in the folder `templates` of a package."""
CHARTS: Final = "vega.js"
"""The library that draws charts; made by the extra `charts`, empty without it."""
TYPES: Final = {"css": "text/css", "js": "text/javascript"}


@cache
def content(name: str) -> bytes | None:
    """Return a file; None if there is no such one."""
    if name == CHARTS:
        from runner.store.vega_cache import vega_bundle  # noqa: PLC0415  (made once, which takes seconds)

        return vega_bundle().encode()
    package = _PACKAGES.get(name)
    file = files(package) / "templates" / name if package else None
    return file.read_bytes() if file and file.is_file() else None


@cache
def asset(name: str) -> str:
    """Return the address of a file, with a digest of its content; of the library, that of its version."""
    if name == CHARTS:
        from runner.report.charts.chart import VEGA_LITE  # noqa: PLC0415  (only pages with charts need it)
        from runner.store.chart_process import library_version  # noqa: PLC0415

        digest = f"{VEGA_LITE}-{library_version() or 'none'}"
    else:
        digest = hashlib.sha256(content(name) or b"").hexdigest()[:12]
    return f"/static/{name}?{digest}"
