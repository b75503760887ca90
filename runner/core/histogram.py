"""Latency histograms of fixed relative error, mergeable without loss.

The shape is Gil Tene's HdrHistogram with three significant digits over 1 µs to 1 h:
2,048 buckets of 1 µs, then 1,024 buckets for every further doubling. Any two such
histograms have the same buckets, so adding counts loses nothing.
"""

from __future__ import annotations

import base64
import math
import struct
import zlib
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Self

from runner.core.units import NS_PER_US, Microseconds, Milliseconds, Nanoseconds

HIGHEST_US: Final = 3_600_000_000
BUCKETS: Final = 23_552
_HIGHEST_OF_0_1_US: Final = 60_000_000
"""Of the histograms of Loadproof 0.1.0, which counted all longer values there."""
_HALF_BITS: Final = 10
_HALF: Final = 1 << _HALF_BITS
_MAX_SMALL: Final = 0xFFFF
_MAX_SHIFT: Final = 63

_RANGES_US: Final = (HIGHEST_US, _HIGHEST_OF_0_1_US)
_COOKIE_V2: Final = 0x1C849303 | 0x10
_COOKIE_V2_COMPRESSED: Final = 0x1C849304 | 0x10
_HEADER: Final = struct.Struct(">iiiiqqd")
_SIGNIFICANT_DIGITS: Final = 3


def bucket(value_us: Microseconds) -> int:
    """Return the bucket of a value; values above 1 h fall into the last one."""
    if value_us < 2 * _HALF:
        return max(value_us, 0)
    value_us = min(value_us, HIGHEST_US)
    shift = value_us.bit_length() - _HALF_BITS - 1
    return (shift << _HALF_BITS) + (value_us >> shift)


def lowest_us(index: int) -> Microseconds:
    """Return the smallest value of a bucket."""
    if index < 2 * _HALF:
        return index
    shift = (index >> _HALF_BITS) - 1
    return ((index & (_HALF - 1)) + _HALF) << shift


def highest_us(index: int) -> Microseconds:
    """Return the largest value of a bucket."""
    shift = max((index >> _HALF_BITS) - 1, 0)
    return lowest_us(index) + (1 << shift) - 1


class Histogram:
    """Counts of latencies, with the exact sum and the exact maximum beside them. Immutable.

    A plain class, neither a dataclass nor a Struct: the journal stores it in HdrHistogram's own encoding. A
    run keeps several a second, in 4 bytes for each bucket that is not empty, where a dictionary takes 100.

    Args:
        counts: Bucket index to count.
        total_ns: As below.
        max_ns: As below.

    Attributes:
        total_ns: Sum of all recorded values, so that the mean has no bucket error.
        max_ns: The largest recorded value, 0 when nothing was recorded.

    Raises:
        ValueError: A bucket or a count is negative or too large.
    """

    __slots__ = ("_buckets", "_numbers", "max_ns", "total_ns")

    def __init__(
        self, counts: Mapping[int, int] | None = None, total_ns: Nanoseconds = 0, max_ns: Nanoseconds = 0
    ) -> None:
        counts = counts or {}
        buckets = sorted(counts)
        numbers = [counts[index] for index in buckets]
        try:
            self._buckets = array("H", buckets)
            self._numbers = array("H" if max(numbers, default=0) <= _MAX_SMALL else "Q", numbers)
        except OverflowError:
            raise ValueError("a bucket or a count of a histogram is out of range") from None
        self.total_ns = total_ns
        self.max_ns = max_ns

    @classmethod
    def of_arrays(
        cls, buckets: array[int], numbers: array[int], total_ns: Nanoseconds, max_ns: Nanoseconds
    ) -> Self:
        """Return the histogram that has these `arrays`."""
        made = cls(None, total_ns, max_ns)
        made._buckets, made._numbers = buckets, numbers
        return made

    @property
    def arrays(self) -> tuple[array[int], array[int]]:
        """The buckets that are not empty, in order, and as many counts; not to be changed."""
        return self._buckets, self._numbers

    def __bool__(self) -> bool:
        return bool(self._buckets)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        ours = (self._buckets, self._numbers, self.total_ns, self.max_ns)
        return ours == (other._buckets, other._numbers, other.total_ns, other.max_ns)

    __hash__ = None  # type: ignore[assignment]  # counts are a mapping

    def __repr__(self) -> str:
        return f"Histogram({self.counts!r}, {self.total_ns!r}, {self.max_ns!r})"

    @property
    def counts(self) -> dict[int, int]:
        """Bucket index to count, in order; empty buckets are absent."""
        return dict(self.items())

    def items(self) -> Iterator[tuple[int, int]]:
        """Return pairs of a bucket that is not empty and its count, in order."""
        return zip(self._buckets, self._numbers, strict=True)

    @property
    def count(self) -> int:
        """The number of recorded values."""
        return sum(self._numbers)

    @property
    def mean_ms(self) -> Milliseconds | None:
        """The exact arithmetic mean, None when nothing was recorded."""
        n = self.count
        return self.total_ns / n / 1e6 if n else None

    @property
    def max_ms(self) -> Milliseconds | None:
        """The exact maximum, None when nothing was recorded."""
        return self.max_ns / 1e6 if self else None

    def percentile_ms(self, percent: float) -> Milliseconds | None:
        """Return the smallest bucket bound that at least `percent` of the values do not exceed.

        Args:
            percent: 0 < percent <= 100.

        Returns:
            The bucket's highest value in milliseconds (as HdrHistogram's
            ``getValueAtPercentile``), never above the exact maximum; None when empty.
        """
        return next(iter(self.percentiles_ms([percent])), None)

    def percentiles_ms(self, percents: Iterable[float]) -> list[Milliseconds]:
        """Return several percentiles in one pass; `percents` ascending. Empty when nothing was recorded."""
        n = self.count
        if not n:
            return []
        found: list[Milliseconds] = []
        walk = self.items()
        seen, index = 0, 0
        for percent in percents:
            rank = max(1, math.ceil(round(percent * n / 100, 6)))
            while seen < rank:
                index, here = next(walk)
                seen += here
            found.append(min(highest_us(index) / 1e3, max(self.max_ns / 1e6, lowest_us(index) / 1e3)))
        return found

    def encode(self) -> str:
        """Return the HdrHistogram V2 compressed form in base64, without sum and maximum."""
        payload = bytes(_zigzag_leb128(_runs(self.items())))
        header = _HEADER.pack(_COOKIE_V2, len(payload), 0, _SIGNIFICANT_DIGITS, 1, HIGHEST_US, 1.0)
        packed = zlib.compress(header + payload, 6)
        return base64.b64encode(struct.pack(">ii", _COOKIE_V2_COMPRESSED, len(packed)) + packed).decode()


EMPTY: Final = Histogram()
"""A histogram of nothing, as default of fields."""


def decode(text: str, *, total_ns: Nanoseconds, max_ns: Nanoseconds) -> Histogram:
    """Return the histogram that `Histogram.encode` made.

    Raises:
        ValueError: The text is not a V2 compressed histogram of this shape.
    """
    try:
        raw = base64.b64decode(text, validate=True)
        cookie, length = struct.unpack_from(">ii", raw)
        inflater = zlib.decompressobj()
        plain = inflater.decompress(raw[8 : 8 + length], _HEADER.size + 9 * BUCKETS)
        inner, size, _, digits, lowest, highest, _ = _HEADER.unpack_from(plain)
    except (ValueError, struct.error, zlib.error) as error:
        raise ValueError(f"not an encoded histogram: {error}") from None
    shape = (cookie, inner, digits, lowest, highest)
    if shape[:4] != (_COOKIE_V2_COMPRESSED, _COOKIE_V2, _SIGNIFICANT_DIGITS, 1) or highest not in _RANGES_US:
        raise ValueError("not an HdrHistogram V2 of 3 digits over 1 µs to 1 h")
    if not inflater.eof or len(plain) != _HEADER.size + size:
        raise ValueError("not an encoded histogram: it is cut off")
    counts = _counts(plain[_HEADER.size :])
    if highest == _HIGHEST_OF_0_1_US and (beyond := counts.pop(bucket(highest), 0)):
        counts[bucket(HIGHEST_US)] = beyond
    return Histogram(counts, total_ns, max_ns)


def merge(histograms: Iterable[Histogram]) -> Histogram:
    """Merge histograms without loss."""
    filled = [histogram for histogram in histograms if histogram]
    if len(filled) < 2:
        return filled[0] if filled else EMPTY
    counts: defaultdict[int, int] = defaultdict(int)
    total_ns = max_ns = 0
    for histogram in filled:
        for index, n in histogram.items():
            counts[index] += n
        total_ns += histogram.total_ns
        max_ns = max(max_ns, histogram.max_ns)
    return Histogram(counts, total_ns, max_ns)


def of(values_ns: Iterable[Nanoseconds]) -> Histogram:
    """Return a histogram of these values, each rounded to the nearest microsecond."""
    counts: dict[int, int] = {}
    total_ns = max_ns = 0
    for value in values_ns:
        index = bucket((value + NS_PER_US // 2) // NS_PER_US)
        counts[index] = counts.get(index, 0) + 1
        total_ns += value
        max_ns = max(max_ns, value)
    return Histogram(counts, total_ns, max_ns)


def _runs(counts: Iterable[tuple[int, int]]) -> Iterator[int]:
    """Counts in bucket order, a run of n empty buckets as -n (HdrHistogram V2)."""
    position = 0
    for index, n in counts:
        if index > position:
            yield position - index
        yield n
        position = index + 1


def _zigzag_leb128(numbers: Iterable[int]) -> Iterator[int]:
    for number in numbers:
        rest = (number << 1) ^ (number >> 63)
        while rest > 0x7F:
            yield rest & 0x7F | 0x80
            rest >>= 7
        yield rest


def _counts(payload: bytes) -> dict[int, int]:
    """The reverse of `_runs` and `_zigzag_leb128` in one: nearly all numbers are a single byte."""
    counts: dict[int, int] = {}
    index = 0
    octets = iter(payload)
    for number in octets:
        if number > 0x7F:
            number = _rest_of_leb128(number, octets)  # noqa: PLW2901  (the number that this byte begins)
        if number & 1:
            index += (number >> 1) + 1
            continue
        if number:
            counts[index] = number >> 1
        index += 1
        if index > BUCKETS:
            raise ValueError("an encoded histogram has more buckets than its shape allows")
    return counts


def _rest_of_leb128(first: int, octets: Iterator[int]) -> int:
    value, shift = first & 0x7F, 7
    for byte in octets:
        value |= (byte & 0x7F) << shift
        if byte <= 0x7F:
            return value
        shift += 7
        if shift > _MAX_SHIFT:
            raise ValueError("an encoded histogram has a number of more than 64 bits")
    raise ValueError("an encoded histogram ends within a number")
