import base64
import math
import struct
import time
import tracemalloc
import zlib
from random import Random

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from runner.core import histogram
from runner.core.histogram import (
    BUCKETS,
    HIGHEST_US,
    Histogram,
    _zigzag_leb128,
    bucket,
    decode,
    highest_us,
    lowest_us,
    merge,
    of,
)

latencies_ns = st.lists(st.integers(0, HIGHEST_US * 1000), max_size=60)


@given(st.integers(0, HIGHEST_US))
def test_a_value_lies_within_its_bucket_and_the_bucket_is_narrow(value_us):
    index = bucket(value_us)

    assert 0 <= index < BUCKETS
    assert lowest_us(index) <= value_us <= highest_us(index)
    assert highest_us(index) - lowest_us(index) <= max(0, value_us / 1000)


def test_buckets_follow_one_another_without_a_gap():
    assert all(lowest_us(index + 1) == highest_us(index) + 1 for index in range(bucket(HIGHEST_US)))


def test_values_beyond_the_range_are_counted_in_the_last_bucket_with_their_true_maximum():
    late = histogram.of([90_000_000_000])

    assert late.count == 1
    assert late.max_ms == 90_000


@given(latencies_ns, latencies_ns)
def test_merging_two_halves_is_the_same_as_recording_everything_in_one(left, right):
    assert merge([histogram.of(left), histogram.of(right)]) == histogram.of(left + right)


@given(latencies_ns.filter(bool), st.sampled_from([1, 50, 90, 95, 99, 99.9, 100]))
def test_a_percentile_lies_in_the_bucket_of_the_nearest_rank(values_ns, percent):
    ranked = sorted((value + 500) // 1000 for value in values_ns)
    true_us = ranked[math.ceil(round(percent / 100 * len(ranked), 6)) - 1]

    found_ms = histogram.of(values_ns).percentile_ms(percent)

    assert lowest_us(bucket(true_us)) <= round(found_ms * 1000) <= highest_us(bucket(true_us))


@given(latencies_ns)
def test_mean_and_maximum_are_exact(values_ns):
    ours = histogram.of(values_ns)

    assert ours.mean_ms == (pytest.approx(sum(values_ns) / len(values_ns) / 1e6) if values_ns else None)
    assert ours.max_ms == (max(values_ns) / 1e6 if values_ns else None)


@given(latencies_ns)
def test_encoding_and_decoding_gives_the_same_histogram(values_ns):
    ours = histogram.of(values_ns)

    assert decode(ours.encode(), total_ns=ours.total_ns, max_ns=ours.max_ns) == ours


@given(latencies_ns.filter(bool))
def test_the_hdrhistogram_of_others_reads_what_we_encode(values_ns):
    ours = histogram.of(values_ns)

    peer = HdrHistogram.decode(ours.encode())

    assert peer.get_total_count() == ours.count
    assert bucket(peer.get_max_value()) == max(ours.counts)


@pytest.mark.parametrize(
    "text",
    ["", "not base64!", "AAAA", "HISTFAAAAAx4nGNgAAAAAgAB", Histogram().encode()[:-8]],
)
def test_damaged_text_is_refused_as_such(text):
    with pytest.raises(ValueError, match="not an"):
        decode(text, total_ns=0, max_ns=0)


def encoded(payload: bytes) -> str:
    header = struct.pack(">iiiiqqd", 0x1C849313, len(payload), 0, 3, 1, HIGHEST_US, 1.0)
    packed = zlib.compress(header + payload)
    return base64.b64encode(struct.pack(">ii", 0x1C849314, len(packed)) + packed).decode()


@pytest.mark.parametrize("longest", [b"\xfe" + b"\xff" * 8 + b"\x01", b"\x80" * 8 + b"\x01"])
def test_numbers_of_64_bits_are_read(longest):
    assert decode(encoded(longest), total_ns=0, max_ns=0).count >= 2**55


def test_what_an_older_histogram_counted_as_longer_than_60_s_stays_beyond_the_range():
    index = bucket(60_000_000)
    payload = bytes(_zigzag_leb128([-index, 3]))
    header = struct.pack(">iiiiqqd", 0x1C849313, len(payload), 0, 3, 1, 60_000_000, 1.0)
    packed = zlib.compress(header + payload)
    text = base64.b64encode(struct.pack(">ii", 0x1C849314, len(packed)) + packed).decode()

    assert decode(text, total_ns=1, max_ns=1).counts == {bucket(HIGHEST_US): 3}


def test_minutes_are_told_apart():
    assert decode(of([90 * 10**9, 1800 * 10**9]).encode(), total_ns=0, max_ns=1800 * 10**9).percentile_ms(
        50
    ) == pytest.approx(90_000, rel=0.001)


@pytest.mark.parametrize("digits", [10, 9 * BUCKETS - 1])
def test_a_longer_number_is_refused_at_once(digits):
    began = time.process_time()

    with pytest.raises(ValueError, match="more than 64 bits"):
        decode(encoded(b"\x80" * digits + b"\x01"), total_ns=0, max_ns=0)

    assert time.process_time() - began < 0.1


@pytest.mark.parametrize("counts", [{-1: 1}, {65_536: 1}, {0: -1}, {0: 2**64}])
def test_counts_that_no_histogram_has_are_refused(counts):
    with pytest.raises(ValueError, match="out of range"):
        Histogram(counts)


@pytest.mark.parametrize("count", [1, 65_535, 65_536, 2**40])
def test_counts_of_any_size_are_kept_and_in_order(count):
    ours = Histogram({9: 1, 3: count})

    assert list(ours.items()) == [(3, count), (9, 1)]
    assert ours.count == count + 1
    assert merge([ours, ours]).counts == {3: 2 * count, 9: 2}


def test_ten_minutes_of_histograms_need_a_few_megabytes():
    random = Random(1)
    tracemalloc.start()
    try:
        kept = [histogram.of(random.randrange(3_000_000) for _ in range(500)) for _ in range(60)]
        assert tracemalloc.get_traced_memory()[0] / len(kept) < 3_000
    finally:
        tracemalloc.stop()


def test_an_empty_histogram_is_false_and_has_no_mean_and_no_percentiles():
    empty = Histogram()

    assert not empty
    assert histogram.of([0])
    assert (empty.count, empty.mean_ms, empty.max_ms, empty.percentile_ms(95)) == (0, None, None, None)
