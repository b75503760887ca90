import gc
import sys
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app_server.sessions import SessionStore, burn, litter


@given(limit=st.integers(1, 20), created=st.integers(0, 60))
def test_a_store_keeps_the_newest_and_never_more_than_its_limit(limit, created):
    store = SessionStore(limit)
    sessions = [store.create() for _ in range(created)]

    kept = [session for session in sessions if store.find(session["id"])]

    assert kept == sessions[-limit:]
    assert len(store) == len(kept)


def test_a_session_that_is_used_outlives_one_that_is_not():
    store = SessionStore(2)
    used, unused = store.create(), store.create()

    store.find(used["id"])
    store.create()

    assert store.find(used["id"]) is used
    assert store.find(unused["id"]) is None


@given(work_us=st.integers(0, 3000))
@settings(max_examples=30)
def test_burning_uses_cpu_time_not_wall_time(work_us):
    before = time.thread_time_ns()

    burn(work_us)

    assert time.thread_time_ns() - before >= work_us * 1000


@pytest.mark.parametrize("alloc_kb", [0, 1, 7, 500])
def test_litter_has_the_given_size_and_only_the_collector_frees_it(alloc_kb):
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        litter(alloc_kb)
        made = tracemalloc.get_traced_memory()[0] - before
        gc.collect()
        left = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        gc.enable()

    assert made == pytest.approx(alloc_kb * 1024, rel=0.05, abs=200)
    assert left < 1024


def test_a_ring_of_litter_is_one_kibibyte_each():
    assert sys.getsizeof([None] * 121) + 16 == pytest.approx(1024, abs=16)
