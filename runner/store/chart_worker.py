"""Draws charts in a process of its own: the library aborts its process on some inputs.

Reads one JSON array of Vega-Lite specifications from stdin, and writes one line of JSON per chart, the SVG
or null. For null instead of an array it writes the script that draws charts in a browser. Run by
`runner.store.chart_process`.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import Any, Final

import vl_convert

_MAX_MEMORY_BYTES: Final = 2 * 1024**3
"""Of writable memory; V8 itself needs 0.6 GB."""
_MAX_CPU_S: Final = 60
_TRIVIAL: Final = {"data": {"values": [{"a": 1}]}, "mark": "bar", "encoding": {"x": {"field": "a"}}}


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    if hard == resource.RLIM_INFINITY or value < hard:
        resource.setrlimit(kind, (value, value))


def _svg(spec: Any, version: str) -> str | None:
    try:
        svg: str = vl_convert.vegalite_to_svg(spec, vl_version=version)
    except ValueError:
        return None
    return svg


def _script(version: str) -> str:
    make: Any = vl_convert.javascript_bundle  # its stub demands an argument that is optional
    script: str = make(vl_version=version)
    return script


def main(version: str, *, early: bool = False) -> None:
    """Draw every chart, in order, or make the script; the lines before a failure are complete.

    Args:
        version: Of Vega-Lite.
        early: Whether to load the library before the charts are read.
    """
    _limit(resource.RLIMIT_DATA, _MAX_MEMORY_BYTES)
    _limit(resource.RLIMIT_CPU, _MAX_CPU_S)
    _limit(resource.RLIMIT_CORE, 0)
    if early:
        _svg(_TRIVIAL, version)
    request = json.load(sys.stdin)
    if request is None:
        _write(_script(version))
        return
    for spec in request:
        _write(_svg(spec, version))


def _write(text: str | None) -> None:
    sys.stdout.write(json.dumps(text) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], early=len(sys.argv) > 2)
