"""Random numbers that depend on a key and a position alone, so that any worker can compute any of them.

The generator is SplitMix64, whose *n*-th number is a fixed function of `key` and *n* (Steele, Lea and Flood,
"Fast Splittable Pseudorandom Number Generators", 2014). It makes test data, nothing that must stay secret.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

CHARACTERS_PER_DRAW: Final = 8
MAX_ALPHABET: Final = 256
"""An alphabet of this size takes all bits of a number for 8 characters."""

_MASK: Final = 2**64 - 1
_GAMMA: Final = 0x9E3779B97F4A7C15
_VERSION_4: Final = 0x4000
_VARIANT: Final = 0x8000


def key(seed: int, name: str) -> int:
    """Return the key of a variable's numbers: the first 8 bytes of SHA-256 over seed and name."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8])


def draw(key: int, n: int) -> int:
    """Return the number at a position, uniform from 0 to 2⁶⁴ - 1."""
    z = (key + (n + 1) * _GAMMA) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def below(key: int, n: int, size: int) -> int:
    """Return the whole number at a position, uniform from 0 to `size` - 1, which is less than 2⁶⁴."""
    return draw(key, n) * size >> 64


def text(key: int, n: int, length: int, alphabet: Sequence[str]) -> str:
    """Return the text at a position.

    Args:
        key: Of the variable.
        n: The position.
        length: Number of characters.
        alphabet: The characters, or what stands for each of them; at most 256.
    """
    size = len(alphabet)
    draws = -(-length // CHARACTERS_PER_DRAW)
    characters: list[str] = []
    for index in range(n * draws, (n + 1) * draws):
        number = draw(key, index)
        for _ in range(min(CHARACTERS_PER_DRAW, length - len(characters))):
            number *= size
            characters.append(alphabet[number >> 64])
            number &= _MASK
    return "".join(characters)


def uuid(key: int, n: int) -> str:
    """Return the random UUID (RFC 9562, version 4) at a position."""
    high, low = draw(key, 2 * n), draw(key, 2 * n + 1)
    third = (high & 0x0FFF) | _VERSION_4
    fourth = (low >> 48 & 0x3FFF) | _VARIANT
    return f"{high >> 32:08x}-{high >> 16 & 0xFFFF:04x}-{third:04x}-{fourth:04x}-{low & 0xFFFFFFFFFFFF:012x}"
