"""The values of variables: how they are distributed, and that compiled code makes the same."""

import json
import math
import os
import string
from collections import Counter
from urllib.parse import unquote, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core import draws
from runner.core.template import ENCODERS, URL_CHARACTERS, Position
from runner.load import drawing
from runner.load.values import (
    ChoiceValues,
    CounterValues,
    FloatValues,
    IntValues,
    TextValues,
    UuidValues,
    maker,
)

KEYS = tuple(draws.key(seed, "value") for seed in range(1, 6))
MILLION = 10**6
LARGEST = 2**53 - 1
CHI_SQUARED = {3: 16.27, 9: 27.88, 19: 43.82, 99: 148.23}
"""Degrees of freedom to the value that one in a thousand exceeds by chance."""


def values(variable, count, position=Position.VALUE):
    make = maker(variable, position)
    return [make(k).decode() for k in range(count)]


def deviation(counts, expected):
    """Return Pearson's statistic of counts by value; all values that have been seen are expected."""
    assert counts.keys() <= expected.keys()
    return sum((counts[value] - share) ** 2 / share for value, share in expected.items())


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("low", [1, -50, -LARGEST, LARGEST - 99])
def test_whole_numbers_are_uniform_with_both_bounds(key, low):
    counts = Counter(map(int, values(IntValues(key, 0, low, 100), 50_000)))

    assert deviation(counts, dict.fromkeys(range(low, low + 100), 500)) < CHI_SQUARED[99]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(("low", "high"), [(-LARGEST, LARGEST), (0, LARGEST), (-3, 10**12)])
def test_wide_ranges_of_whole_numbers_are_uniform(key, low, high):
    numbers = [int(value) for value in values(IntValues(key, 0, low, high - low + 1), 20_000)]
    counts = Counter((number - low) * 20 // (high - low + 1) for number in numbers)

    assert low <= min(numbers) <= max(numbers) <= high
    assert deviation(counts, dict.fromkeys(range(20), 1000)) < CHI_SQUARED[19]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(("low", "high"), [(-1, 1), (-1e9, 1e9), (1e9 - 1, 1e9), (-0.00001, 0.00001)])
def test_decimal_numbers_are_uniform_and_have_six_decimal_places(key, low, high):
    first, last = round(low * MILLION), round(high * MILLION)
    texts = values(FloatValues(key, 0, first, last - first + 1), 20_000)
    numbers = [round(float(text) * MILLION) for text in texts]
    size = last - first + 1
    expected = Counter(number * 20 // size for number in range(size)) if size < MILLION else None
    counts = Counter((number - first) * 20 // size for number in numbers)
    shares = {part: 20_000 * (expected[part] / size if expected else 1 / 20) for part in range(20)}

    assert first <= min(numbers) <= max(numbers) <= last
    assert all(len(text.partition(".")[2]) == 6 for text in texts)
    assert "-0.000000" not in texts
    assert deviation(counts, shares) < CHI_SQUARED[19]


@pytest.mark.parametrize("key", KEYS)
def test_choices_without_weights_are_equally_likely(key):
    counts = Counter(values(ChoiceValues(key, 0, tuple(range(10))), 20_000))

    assert deviation(counts, dict.fromkeys("0123456789", 2000)) < CHI_SQUARED[9]


@pytest.mark.parametrize("key", KEYS)
def test_choices_are_as_likely_as_their_weights_say(key):
    weights = {"a": 0.5, "b": 7.0, "c": 0.25, "d": 2.25}
    variable = ChoiceValues(key, 0, tuple(weights), tuple(weights.values()))
    counts = Counter(values(variable, 40_000, Position.BODY))

    assert deviation(counts, {name: weight * 4000 for name, weight in weights.items()}) < CHI_SQUARED[3]


@pytest.mark.parametrize("key", KEYS)
def test_two_variables_and_successive_values_are_independent(key):
    one = values(IntValues(key, 0, 0, 10), 50_000)
    other = values(IntValues(draws.key(1, "other"), 0, 0, 10), 50_000)
    expected = {(a, b): 500 for a in "0123456789" for b in "0123456789"}

    assert deviation(Counter(zip(one, other, strict=True)), expected) < CHI_SQUARED[99]
    assert deviation(Counter(zip(one[::2], one[1::2], strict=True)), dict.fromkeys(expected, 250)) < 148.23


@pytest.mark.parametrize("number", [0, 1, -1, LARGEST, -LARGEST])
def test_a_range_of_one_value_has_that_value(number):
    assert set(values(IntValues(KEYS[0], 0, number, 1), 10)) == {str(number)}
    millionths = math.copysign(min(abs(number), 10**15), number)
    assert {float(value) for value in values(FloatValues(KEYS[0], 0, int(millionths), 1), 10)} == {
        int(millionths) / MILLION
    }


def test_a_counter_takes_negative_and_large_steps():
    assert values(CounterValues(-5, 2), 4) == ["-5", "-3", "-1", "1"]
    assert values(CounterValues(LARGEST, -LARGEST), 4) == [str(LARGEST - k * LARGEST) for k in range(4)]


def test_spaces_inside_a_text_stay_in_a_url():
    make = maker(TextValues(KEYS[0], 0, 40, "0 \r"), Position.URL)
    made = [make(k).decode() for k in range(20)]
    assert made == [ENCODERS[Position.URL](draws.text(KEYS[0], k, 40, "0 \r")) for k in range(20)]
    assert all("%20" in text and "%0D" in text for text in made)


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=256), st.data())
def test_text_is_encoded_where_it_stands(alphabet, data):
    position = data.draw(st.sampled_from(Position))
    key, k, length = KEYS[0], data.draw(st.integers(0, 10**9)), data.draw(st.integers(1, 40))
    plain = draws.text(key, k, length, alphabet)
    sent = maker(TextValues(key, 0, length, alphabet), position)(k).decode()

    assert sent == ENCODERS[position](plain)
    decode = {
        Position.PATH: unquote,
        Position.QUERY: unquote,
        Position.FORM: unquote_plus,
        Position.JSON: lambda inside: json.loads(f'"{inside}"'),
        Position.VALUE: json.loads,
    }
    if position is Position.URL:  # escapes of a URL are kept, so that it cannot be decoded to the same text
        assert set(sent) <= {*string.ascii_letters, *string.digits, *URL_CHARACTERS}
    else:
        assert decode.get(position, str)(sent) == plain


@pytest.mark.parametrize("position", Position)
def test_a_uuid_has_quotes_only_as_a_value(position):
    plain = draws.uuid(KEYS[0], 8)

    assert values(UuidValues(KEYS[0], 5), 4, position)[3] == ENCODERS[position](plain)


NUMBERS = st.integers(0, 2**64 - 1)
POSITIONS = st.integers(0, 2**48)


@given(NUMBERS, POSITIONS, st.integers(1, 2**64 - 1), st.integers(1, 4096), st.integers(1, 256))
def test_the_compiled_functions_return_the_same(key, n, size, length, characters):
    if drawing.draw is draws.draw:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("runner.load.fastdraws was not built")
    alphabet = [chr(0x3B1 + character) for character in range(characters)]

    assert drawing.draw(key, n) == draws.draw(key, n)
    assert drawing.below(key, n, size) == draws.below(key, n, size)
    assert drawing.text(key, n, length, alphabet) == draws.text(key, n, length, alphabet)
    assert drawing.uuid(key, n) == draws.uuid(key, n)
