import math

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from runner.core import histogram
from runner.core.histogram import BUCKETS, HIGHEST_US, Histogram, bucket, decode, highest_us, lowest_us, merge

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


def test_an_empty_histogram_has_no_mean_and_no_percentiles():
    empty = Histogram()

    assert (empty.count, empty.mean_ms, empty.max_ms, empty.percentile_ms(95)) == (0, None, None, None)
