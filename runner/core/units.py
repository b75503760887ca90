"""Type aliases for units, and conversions between them."""

from __future__ import annotations

from typing import Final, TypeAlias

Nanoseconds: TypeAlias = int
Microseconds: TypeAlias = int
Milliseconds: TypeAlias = float
Seconds: TypeAlias = float
PerSecond: TypeAlias = float
Bytes: TypeAlias = int
Cores: TypeAlias = float

NS_PER_US: Final = 1_000
NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000
US_PER_S: Final = 1_000_000
BYTES_PER_MIB: Final = 1024 * 1024


def ns(seconds: Seconds) -> Nanoseconds:
    """Convert seconds to whole nanoseconds."""
    return round(seconds * NS_PER_S)


def percent(share: float, digits: int = 0, *, signed: bool = False) -> str:
    """Format a fraction as a percentage: ``56 %``, ``+95 %``."""
    return f"{share * 100:{'+' if signed else ''},.{digits}f} %"
