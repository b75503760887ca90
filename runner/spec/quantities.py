"""Times and sizes with units: ``200ms``, ``30s``, ``1.5m``, ``256MiB``."""

from __future__ import annotations

from typing import TypeAlias

Duration: TypeAlias = float
Size: TypeAlias = int
