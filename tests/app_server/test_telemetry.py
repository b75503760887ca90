import asyncio
import gc
import time

import pytest

from app_server.telemetry import Telemetry


@pytest.fixture
def telemetry():
    watching = Telemetry(sessions=lambda: 0)
    watching.watch_collector()
    yield watching
    watching.ignore_collector()


def value(telemetry, name, **labels):
    return telemetry.registry().get_sample_value(name, labels) or 0


def test_a_collection_is_counted_and_timed_in_its_generation(telemetry):
    before = value(telemetry, "app_gc_collections_total", generation="2")

    gc.collect()

    assert value(telemetry, "app_gc_collections_total", generation="2") == before + 1
    assert value(telemetry, "app_gc_pause_seconds_total", generation="2") > 0


def test_a_blocked_event_loop_is_measured_as_lag():
    telemetry = Telemetry(sessions=lambda: 0)

    async def block_the_loop():
        watch = asyncio.create_task(telemetry.watch_loop())
        await asyncio.sleep(0.01)
        time.sleep(0.3)
        await asyncio.sleep(0.01)
        watch.cancel()

    asyncio.run(block_the_loop())

    late = value(telemetry, "app_event_loop_lag_seconds_count") - value(
        telemetry, "app_event_loop_lag_seconds_bucket", le="0.1"
    )
    assert late == 1
    assert value(telemetry, "app_event_loop_lag_seconds_sum") > 0.2


def test_a_garbage_collection_during_a_scrape_does_not_hang(telemetry):
    for family in telemetry.collect():
        gc.collect()

        assert family.samples is not None
