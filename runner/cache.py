"""Where files are kept that save time in the next run; every cache is optional."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path | None:
    """Return ``$XDG_CACHE_HOME/loadproof``, else ``~/.cache/loadproof``; it may not exist or not be writable.

    None without a home: no HOME in the environment, and no entry in the system's list of users. A relative
    XDG_CACHE_HOME counts as none (XDG Base Directory Specification).
    """
    root = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if root.is_absolute():
        return root / "loadproof"
    try:
        return Path.home() / ".cache" / "loadproof"
    except RuntimeError:
        return None
