"""JSON for a browser without characters that a page would not show, as HTML pages are."""

from __future__ import annotations

import re
from typing import Final

from runner.report.markdown_text import without_controls

_ESCAPE: Final = re.compile(r"(\\[\\\"/nt])|\\(?:u00[01][0-9a-f]|[bfr])", re.IGNORECASE)
"""An escape that stays, which may be that of a backslash, or one of a control character."""


def visible_json(content: bytes) -> bytes:
    """Return JSON with replacement characters for control characters and changes of the writing direction."""
    text = content.decode()
    if text.isprintable() and "\\" not in text:
        return content
    text = _ESCAPE.sub(lambda found: found[1] or "\N{REPLACEMENT CHARACTER}", text)
    return without_controls(text).encode()
