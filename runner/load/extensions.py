"""Whether compiled modules may be used."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from types import ModuleType
from typing import Final

_BUILD_S: Final = 60
"""An installer may write a source up to so many seconds after what was built from it."""


def allowed() -> bool:
    """Return whether the environment allows compiled modules."""
    return not os.environ.get("LOADPROOF_NO_EXTENSIONS")


def compiled(name: str) -> ModuleType | None:
    """Return a compiled module of this package; None if it may not be used, is not built or out of date."""
    if not allowed():
        return None
    try:
        extension = importlib.import_module(f"runner.load.{name}")
    except ImportError:
        return None
    return extension if is_current(extension) else None


def is_current(extension: ModuleType) -> bool:
    """Return whether a compiled module is not older than its source; a wheel need not contain the source."""
    built = Path(extension.__file__ or "")
    source = built.with_name(f"{built.name.partition('.')[0]}.pyx")
    return _is_older(source, built) and _is_older(source.with_suffix(".pxd"), built)


def _is_older(source: Path, built: Path) -> bool:
    try:
        return source.stat().st_mtime <= built.stat().st_mtime + _BUILD_S
    except OSError:
        return True
