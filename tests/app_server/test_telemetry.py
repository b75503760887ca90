import asyncio
import gc
import time

from app_server.telemetry import Telemetry


def watched(use):
    """Returns what is measured while `use` runs."""

    async def watch():
        telemetry = Telemetry(sessions=lambda: 0)
        async with telemetry.watching():
            await use(telemetry)
        return telemetry

    return asyncio.run(watch())


def value(telemetry, name, **labels):
    return telemetry.registry().get_sample_value(name, labels) or 0


def test_a_collection_is_counted_and_timed_in_its_generation():
    async def collect(telemetry):
        before = value(telemetry, "app_gc_collections_total", generation="2")
        gc.collect()
        assert value(telemetry, "app_gc_collections_total", generation="2") == before + 1

    telemetry = watched(collect)

    assert value(telemetry, "app_gc_pause_seconds_total", generation="2") > 0


def test_a_collection_after_the_end_is_not_counted():
    async def nothing(_telemetry):
        pass

    telemetry = watched(nothing)
    before = value(telemetry, "app_gc_collections_total", generation="2")
    gc.collect()

    assert value(telemetry, "app_gc_collections_total", generation="2") == before


def test_a_blocked_event_loop_is_measured_as_lag():
    async def block_the_loop(_telemetry):
        await asyncio.sleep(0.01)
        time.sleep(0.3)
        await asyncio.sleep(0.01)

    telemetry = watched(block_the_loop)

    late = value(telemetry, "app_event_loop_lag_seconds_count") - value(
        telemetry, "app_event_loop_lag_seconds_bucket", le="0.1"
    )
    assert late == 1
    assert value(telemetry, "app_event_loop_lag_seconds_sum") > 0.2


def test_a_garbage_collection_during_a_scrape_does_not_hang():
    async def scrape(telemetry):
        for family in telemetry.collect():
            gc.collect()

            assert family.samples is not None

    watched(scrape)
