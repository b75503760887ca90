"""Whether compiled modules may be used."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import Final

_BUILD_S: Final = 60
"""An installer may write a source up to so many seconds after what was built from it."""


def allowed() -> bool:
    """Return whether the environment allows compiled modules."""
    return not os.environ.get("LOADPROOF_NO_EXTENSIONS")


def is_current(extension: ModuleType) -> bool:
    """Return whether a compiled module is not older than its source; a wheel need not contain the source."""
    built = Path(extension.__file__ or "")
    source = built.with_name(f"{built.name.partition('.')[0]}.pyx")
    try:
        return source.stat().st_mtime <= built.stat().st_mtime + _BUILD_S
    except OSError:
        return True
