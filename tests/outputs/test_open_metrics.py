"""The metrics of a run in progress are valid OpenMetrics, only grow where they should, and are bounded."""

from __future__ import annotations

import re
import socket
import urllib.request

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from runner.core import histogram
from runner.core.errors import EnvironmentLacks
from runner.core.live import Probe, RunBegins, RunEnds, Second, TrialBegins, TrialEnds
from runner.core.load_facts import LoadSecond
from runner.outputs.live_families import FAMILIES
from runner.outputs.live_totals import BOUNDS_S, LiveTotals
from runner.outputs.open_metrics import metrics_server

OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
BEGIN = RunBegins("shop", "run-1", "2026-01-01T00:00:00+00:00", 1, 1, "boot", 1, ())


def trial(number=1, stage="200 RPS", **more):
    return TrialBegins(
        1e9, number, 2, f"one · {stage}", "one", stage, 1.0, 5.0, more.pop("model", "open"), **more
    )


def load(index=0, **more):
    values = {"scheduled": 3, "sent": 3, "succeeded": 2, "completed": 2, "failures": {"timeout": 1}} | more
    times = histogram.of([2_000_000, 700_000_000])
    return LoadSecond(index, duration=times, response_time=times, **values)


def second(t_s=1.0, **more):
    return Second(
        1e9 + t_s, t_s, 2.0, target_rps=3.0, p95_ms=700.0, cores={"app": 0.5}, memory_bytes={"app": 9}, **more
    )


@pytest.fixture
def totals():
    run = LiveTotals()
    for record in (BEGIN, trial()):
        run.record(record)
    run.load(load())
    run.record(second())
    return run


def scrape(totals, accept=OPEN_METRICS):
    with metrics_server(totals, "127.0.0.1", 0) as url:
        request = urllib.request.Request(url, headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.read().decode(), response.headers["Content-Type"]


def samples_of(text):
    families = list(text_string_to_metric_families(text))
    return {
        (one.name, *sorted(one.labels.items())): one.value for family in families for one in family.samples
    }


def test_what_is_served_is_open_metrics_with_the_numbers_of_the_run(totals):
    text, kind = scrape(totals)

    place = {"experiment": "shop", "configuration": "one", "stage": "200 RPS"}
    samples = samples_of(text)
    assert kind.startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")

    def value(name, **labels):
        return samples[name, *sorted((place | labels).items())]

    assert value("loadproof_requests_total", request="all", result="succeeded") == 2
    assert value("loadproof_requests_total", request="all", result="timeout") == 1
    assert value("loadproof_request_duration_seconds_bucket", request="all", le="0.0025") == 1
    assert value("loadproof_request_duration_seconds_bucket", request="all", le="0.5") == 1
    assert value("loadproof_request_duration_seconds_bucket", request="all", le="+Inf") == 2
    assert value("loadproof_request_duration_seconds_sum", request="all") == pytest.approx(0.702)
    assert value("loadproof_latency_seconds", percentile="p95") == 0.7
    assert value("loadproof_cpu_cores", role="app") == 0.5
    assert value("loadproof_memory_bytes", role="app") == 9
    assert value("loadproof_target_requests_per_second") == 3
    assert value("loadproof_stage_elapsed_seconds") == 2
    assert value("loadproof_stage_length_seconds") == 6


def test_an_older_reader_gets_the_older_format(totals):
    text, kind = scrape(totals, accept="text/plain")

    assert kind.startswith("text/plain")
    assert "# TYPE loadproof_requests_total counter" in text


def test_repeats_add_to_the_same_totals_and_gauges_are_of_the_last_stage_only(totals):
    totals.record(TrialEnds(1e9, 1, "complete"))
    totals.record(trial(2, repeat=2))
    totals.load(load())
    totals.record(trial(3, stage="400 RPS"))
    totals.record(second(users=4, scenarios_per_s=1))
    totals.record(Probe(1e9, 3, "one", "find", 400.0, passed=False))
    totals.record(RunEnds(1e9, "complete"))

    samples = samples_of(scrape(totals)[0])

    counted = {key: value for key, value in samples.items() if key[0] == "loadproof_requests_total"}
    assert sorted(counted.values()) == [2, 4]
    assert [key for key in samples if key[0] == "loadproof_cpu_cores" and ("stage", "200 RPS") in key] == []
    assert [value for key, value in samples.items() if key[0] == "loadproof_trials_total"] == [1]
    assert [value for key, value in samples.items() if key[0] == "loadproof_search_probes_total"] == [1]
    assert [value for key, value in samples.items() if key[0] == "loadproof_run_in_progress"] == [0]


def test_a_mix_is_counted_by_request_and_scenarios_by_name(totals):
    mixed = load(parts={"read": load(), "write": load(failures={}, dropped=2)}, scenarios={"buy": load()})

    totals.record(trial(2, stage="mix", model="scenarios"))
    totals.load(mixed)

    samples = samples_of(scrape(totals)[0])
    of_mix = {key: value for key, value in samples.items() if ("stage", "mix") in key}
    requests = {dict(key[1:])["request"] for key in of_mix if key[0] == "loadproof_requests_total"}
    assert requests == {"read", "write"}
    ends = {dict(key[1:])["result"]: n for key, n in of_mix.items() if key[0] == "loadproof_scenarios_total"}
    assert ends == {"completed": 2, "timeout": 1}
    assert any(key[0] == "loadproof_scenario_duration_seconds_count" for key in of_mix)


def test_histograms_are_of_the_last_two_stages_and_counts_of_all(totals):
    for number, stage in enumerate(("400 RPS", "800 RPS"), start=2):
        totals.record(trial(number, stage=stage))
        totals.load(load())

    samples = samples_of(scrape(totals)[0])

    def stages(name):
        return {dict(key[1:])["stage"] for key in samples if key[0] == name}

    assert stages("loadproof_request_duration_seconds_count") == {"400 RPS", "800 RPS"}
    assert stages("loadproof_requests_total") == {"200 RPS", "400 RPS", "800 RPS"}


def test_the_number_of_series_is_bounded_whatever_a_run_has(totals):
    for number in range(2, 500):
        totals.record(trial(number, stage=f"probe {number}"))
        totals.load(load())
    totals.load(load(parts={f"request {number}": load() for number in range(500)}))

    assert len(totals.stages) <= 201
    assert max(len(stage.duration) for stage in totals.stages.values()) <= 52
    total = sum(number for stage in totals.stages.values() for number in stage.requests.values())
    assert total == 3 * (1 + 498 + 500)


def test_every_family_has_a_unit_in_its_name_where_open_metrics_asks_for_one():
    suffixes = {"s": "_seconds", "By": "_bytes", "{core}": "_cores"}
    for family in FAMILIES:
        assert re.fullmatch(r"loadproof_[a-z_]+", family.name)
        assert not family.name.endswith("_total")
        if family.unit in suffixes:
            assert family.name.endswith(suffixes[family.unit])
        elif "/s" in family.unit:
            assert family.name.endswith("_per_second")
    assert list(BOUNDS_S) == sorted(BOUNDS_S)


def test_a_port_that_is_taken_is_named_before_anything_starts(totals):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EnvironmentLacks, match=f"port {port}"), metrics_server(totals, "127.0.0.1", port):
            pass


def test_readers_that_never_read_do_not_keep_others_from_reading(totals):
    with metrics_server(totals, "127.0.0.1", 0) as url:
        port = int(url.split(":")[2].split("/")[0])
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
        with urllib.request.urlopen(url, timeout=10) as response:
            assert b"loadproof_requests_total" in response.read()
        for one in silent:
            one.close()
