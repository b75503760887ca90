"""Says how to add the packages of this service to an installation that lacks them."""

from __future__ import annotations

import re
import shlex
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Final

_OURS: Final = re.compile(r"([^;]+);.*\bextra == ['\"]app['\"]")


def how_to_add(prefix: Path | None = None) -> str:
    """Return the command line that installs the extra `app`.

    pipx and uv get the packages by name: given the extra, they would ask an index for Loadproof itself.

    Args:
        prefix: The environment's folder; None for that of this process.
    """
    prefix = Path(sys.prefix) if prefix is None else prefix
    packages = _packages()
    if packages and (prefix / "pipx_metadata.json").is_file():
        return f"pipx inject loadproof {packages}"
    if packages and (prefix / "uv-receipt.toml").is_file():
        return f"uv pip install --python {shlex.quote(str(prefix))} {packages}"
    return "pip install 'loadproof[app]'"


def _packages() -> str:
    try:
        matches = map(_OURS.match, requires("loadproof") or ())
    except PackageNotFoundError:
        return ""
    return shlex.join(match[1].strip() for match in matches if match)
