import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from runner.core import histogram
from runner.core.compact import CompactList
from runner.core.histogram import BUCKETS, Histogram
from runner.core.load_facts import FAILURE_KINDS, LoadSecond, ResponseSample
from runner.core.observed_facts import Sample
from runner.store.journal import Entry, encode_entry, read

JOURNALS = [
    Path(__file__).parents[2] / "reports" / name / "journal.ndjson" for name in ("quickstart", "shop")
]
numbers = st.integers(-(2**63), 2**63 - 1)
texts = st.text(max_size=20)
PLAIN = {
    int: numbers,
    float: st.floats(allow_nan=False),
    str: texts,
    Histogram: st.builds(
        Histogram,
        st.dictionaries(st.integers(0, BUCKETS - 1), st.integers(0, 2**20) | st.just(2**64 - 1), max_size=5),
        numbers,
        numbers,
    ),
    ResponseSample: st.builds(
        ResponseSample,
        st.sampled_from(FAILURE_KINDS),
        st.integers(0, 999),
        st.lists(st.tuples(texts, texts), max_size=2).map(tuple),
        texts,
    ),
}


def of_type(hint: object, depth: int = 1) -> st.SearchStrategy:
    """Return values of a type of facts, so that a new field is in the cases at once."""
    if hint in PLAIN:
        return PLAIN[hint]
    args = get_args(hint)
    if get_origin(hint) is Mapping:
        return st.dictionaries(*(of_type(arg, depth - 1) for arg in args), max_size=2)
    if get_origin(hint) is tuple:
        return st.lists(of_type(args[0], depth), max_size=2).map(tuple)
    assert isinstance(hint, type)
    assert issubclass(hint, Struct)
    hints = get_type_hints(hint)
    return st.builds(
        hint,
        **{
            name: of_type(hints[name], depth)
            for name in hint.__struct_fields__
            if depth > 0 or name not in {"parts", "scenarios"}
        },
    )


def compact(items: list, kind: type) -> CompactList:
    made = CompactList(kind)
    for item in items:
        made.append(item)
    return made


# no shrinking: an example has hundreds of fields, so that it would take minutes
@settings(
    suppress_health_check=[HealthCheck.too_slow], max_examples=25, deadline=None, phases=[Phase.generate]
)
@given(st.lists(of_type(LoadSecond), max_size=2), st.lists(of_type(Sample), max_size=2))
def test_what_is_read_is_what_was_appended(seconds, samples):
    assert list(compact(seconds, LoadSecond)) == seconds
    assert list(compact(samples, Sample)) == samples


def test_what_is_read_stays_complete_while_more_is_appended():
    seconds = compact([], LoadSecond)
    for index in range(4000):
        seconds.append(LoadSecond(index, failures={"timeout": index}, statuses={503: 1}))
        if index in {0, 1999}:
            assert [second.index for second in seconds] == list(range(index + 1))
    assert len(seconds) == 4000
    assert [second.failures["timeout"] for second in seconds] == list(range(4000))


@pytest.mark.parametrize("path", JOURNALS, ids=lambda path: path.parent.name)
def test_a_stored_run_is_the_same_byte_for_byte(path):
    for entry in read(path):
        trial = entry.trial
        load = replace(trial.load, seconds=tuple(compact(trial.load.seconds, LoadSecond)))
        observed = replace(trial.observed, samples=tuple(compact(trial.observed.samples, Sample)))

        kept = Entry(entry.run, replace(trial, load=load, observed=observed))

        assert encode_entry(kept) == encode_entry(entry)


def test_equal_histograms_of_a_second_are_once_in_memory():
    latency = histogram.of([1000, 2000])
    (second,) = compact([LoadSecond(0, duration=latency, first_byte=latency)], LoadSecond)

    assert second.first_byte is second.duration == latency
    assert second.connect is histogram.EMPTY


def test_a_minute_at_500_requests_per_second_needs_a_tenth_of_a_megabyte():
    random = Random(1)
    seconds = []
    for index in range(20):
        duration = histogram.of(int(random.lognormvariate(13.5, 0.35)) for _ in range(500))
        delay = histogram.of(int(random.lognormvariate(11, 0.5)) for _ in range(500))
        second = LoadSecond(
            index, 500, 500, 500, duration=duration, first_byte=duration, dispatch_delay=delay
        )
        seconds.append(second)
    tracemalloc.start()
    try:
        made = compact(3 * seconds, LoadSecond)
        open_block = 2**16
        assert len(made) == 60
        assert tracemalloc.get_traced_memory()[0] - open_block < 100_000
    finally:
        tracemalloc.stop()
