"""What a chart in an archive may contain: shapes and text, nothing that acts or loads."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from xml.parsers import expat

_ELEMENTS: Final = frozenset(
    {
        "svg", "g", "defs", "clipPath", "linearGradient", "radialGradient", "stop",
        "path", "rect", "line", "circle", "text", "tspan",
    }
)  # fmt: skip
_REFERENCE: Final = re.compile(r"url\s*\((?!\s*['\"]?#)|javascript:|data:", re.IGNORECASE)
_TEXT_ATTRIBUTES: Final = frozenset({"aria-label", "aria-roledescription", "aria-description"})


class _Refused(Exception):  # noqa: N818  (a result)
    """The reason."""


def fault_of_svg(content: bytes) -> str:
    """Return why a picture is not one that a run writes; empty if it may be one."""
    parser = expat.ParserCreate()
    parser.StartElementHandler = _check_element
    parser.StartDoctypeDeclHandler = _refuse("a document type")
    parser.ProcessingInstructionHandler = _refuse("a processing instruction")
    try:
        parser.Parse(content, True)
    except expat.ExpatError:
        return "it is no SVG"
    except _Refused as reason:
        return f"it contains {reason}"
    return ""


def _check_element(name: str, attributes: dict[str, str]) -> None:
    if name not in _ELEMENTS:
        raise _Refused(f"the element {name[:40]!r}")
    for key, value in attributes.items():
        if key.lower().startswith("on") or key.rpartition(":")[2] in {"href", "style", "base"}:
            raise _Refused(f"the attribute {key[:40]!r}")
        if key not in _TEXT_ATTRIBUTES and _REFERENCE.search(value):
            raise _Refused("a reference to something else")


def _refuse(what: str) -> Callable[..., None]:
    def handler(*_: object) -> None:
        raise _Refused(what)

    return handler
