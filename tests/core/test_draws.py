"""Random numbers by position: SplitMix64, and text and UUIDs made from it."""

import uuid
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core import draws

VECTORS = {
    0: (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F),
    1234567: (6457827717110365317, 3203168211198807973, 9817491932198370423),
}
"""Seed to first numbers of SplitMix64: Vigna's splitmix64.c, and Rosetta Code's task of that name."""
SEEDS_AND_POSITIONS = (st.integers(0, 2**64 - 1), st.integers(0, 2**40))


@pytest.mark.parametrize("seed", VECTORS)
def test_the_numbers_are_those_of_splitmix64(seed):
    assert tuple(draws.draw(seed, n) for n in range(3)) == VECTORS[seed]


@given(*SEEDS_AND_POSITIONS, st.integers(1, 2**64 - 1))
def test_a_number_is_a_share_of_the_size(key, n, size):
    number = draws.below(key, n, size)

    assert 0 <= number < size
    assert number == draws.draw(key, n) * size // 2**64


@given(*SEEDS_AND_POSITIONS, st.integers(1, 40), st.integers(1, 256))
def test_text_has_its_length_and_its_alphabet(key, n, length, size):
    alphabet = [chr(0x400 + character) for character in range(size)]
    text = draws.text(key, n, length, alphabet)

    assert len(text) == length
    assert set(text) <= set(alphabet)


@given(*SEEDS_AND_POSITIONS)
def test_a_uuid_is_of_version_4(key, n):
    text = draws.uuid(key, n)
    parsed = uuid.UUID(text)

    assert str(parsed) == text
    assert (parsed.version, parsed.variant) == (4, uuid.RFC_4122)


def test_every_place_in_a_text_has_every_character_equally_often():
    texts = [draws.text(draws.key(1, "t"), n, 10, "0123456789") for n in range(10_000)]

    assert len(set(texts)) > 9_990
    for place in range(10):
        counts = Counter(text[place] for text in texts)
        assert sum((counts[digit] - 1000) ** 2 / 1000 for digit in "0123456789") < 27.88


def test_the_key_depends_on_seed_and_name():
    assert len({draws.key(seed, name) for seed in range(10) for name in ("a", "b", "1/a")}) == 30
    assert draws.key(1, "id") == 0x74435CA2670FBF31  # printf 1/id | sha256sum
