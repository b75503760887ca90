"""A list of facts that takes little memory, for what is measured again and again until a stage ends.

As Python objects, an hour of seconds of load and of samples takes 20 MiB and more; here a tenth of that.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

import msgspec
from msgspec import Struct

from runner.core.histogram import EMPTY, Histogram
from runner.core.units import Bytes

_BLOCK: Final[Bytes] = 1 << 16
"""Compressing that much takes 1–3 ms, in which nothing else runs."""
_FASTEST: Final = 1
_HEADER: Final = struct.Struct("<qqH?")
"""Of a histogram: sum, maximum, number of buckets, whether counts are of 64 bits."""
_ARRAY: Final = struct.Struct(">BI")
_ARRAY_CODE: Final = 0xDD
"""How MessagePack begins an array of up to 2**32 items ("array 32")."""

_Item = TypeVar("_Item", bound=Struct)


class CompactList(Generic[_Item]):
    """Facts in the order in which they were appended; what is read is equal to what was appended.

    Args:
        kind: Type of the facts.
    """

    def __init__(self, kind: type[_Item]) -> None:
        self._kind = kind
        self._blocks: list[bytes] = []
        self._open = bytearray()
        self._in_open = 0
        self._length = 0

    def append(self, item: _Item) -> None:
        """Add an item.

        Raises:
            OverflowError: A number in it has more than 64 bits.
        """
        self._open += _encoder.encode(item)
        self._in_open += 1
        self._length += 1
        if len(self._open) >= _BLOCK:
            self._blocks.append(zlib.compress(self._open_block(), _FASTEST))
            self._open, self._in_open = bytearray(), 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[_Item]:
        """Yield new objects each time: a caller that needs the items more than once should keep them."""
        for block in self._blocks:
            yield from self._unpacked(zlib.decompress(block))
        yield from self._unpacked(self._open_block())

    def _open_block(self) -> bytes:
        return _ARRAY.pack(_ARRAY_CODE, self._in_open) + self._open

    def _unpacked(self, block: bytes) -> list[_Item]:
        known: dict[bytes, Histogram] = {}

        def histogram_of(_: type, packed: bytes) -> Histogram:
            if packed not in known:
                known[packed] = _unpack(packed)
            return known[packed]  # equal ones are once in memory, such as `duration` and `first_byte`

        return msgspec.msgpack.decode(block, type=list[self._kind], dec_hook=histogram_of)  # type: ignore[name-defined]


def _pack(value: object) -> bytes:
    assert isinstance(value, Histogram)
    buckets, numbers = value.arrays
    header = _HEADER.pack(value.total_ns, value.max_ns, len(buckets), numbers.typecode == "Q")
    return header + _planes(buckets) + _planes(numbers)


def _unpack(packed: bytes) -> Histogram:
    total_ns, max_ns, length, is_wide = _HEADER.unpack_from(packed)
    if not (length or total_ns or max_ns):
        return EMPTY
    begin = _HEADER.size + length * array("H").itemsize
    buckets = _from_planes("H", packed[_HEADER.size : begin])
    return Histogram.of_arrays(
        buckets, _from_planes("Q" if is_wide else "H", packed[begin:]), total_ns, max_ns
    )


def _planes(numbers: array[int]) -> bytes:
    """Return the first byte of every number, then the second of every number ...: that compresses better."""
    content, size = numbers.tobytes(), numbers.itemsize
    return b"".join(content[place::size] for place in range(size))


def _from_planes(typecode: str, planes: bytes) -> array[int]:
    """The reverse of `_planes`."""
    numbers = array(typecode)
    size, content = numbers.itemsize, bytearray(len(planes))
    length = len(planes) // size
    for place in range(size):
        content[place::size] = planes[place * length : (place + 1) * length]
    numbers.frombytes(content)
    return numbers


_encoder: Final = msgspec.msgpack.Encoder(enc_hook=_pack)
