"""The interval log says to other HdrHistogram tools what the journal says to us."""

import json
import subprocess
from collections import Counter
from datetime import datetime
from functools import cache
from pathlib import Path

import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from msgspec.structs import replace

from runner.archive.hdrlog import (
    METRICS,
    EncodedHistogram,
    EncodedLoad,
    EncodedPart,
    EncodedSecond,
    EncodedTrial,
    encoded_trials,
    interval_log,
    tags,
)
from runner.core.facts import TrialFacts
from runner.core.histogram import HIGHEST_US, Histogram, bucket, merge
from runner.store.journal import Journal, read
from tests.analyze.facts import RUN
from tests.analyze.mixed_facts import Offered, mixed_trial
from tests.analyze.scenario_facts import scenario_trial, users
from tests.archive.folders import REPORTS
from tests.publish.node_tools import node_tools

WITH_DIFFERENT_TRIALS = ("docker-4k", "hop-ladder")
TRIAL = EncodedTrial(
    configuration="a", stage="s", repeat=1, order=0, started_at="2026-01-01T00:00:00+00:00", warmup_s=1.0
)


@cache
def records(name: str) -> list[EncodedTrial]:
    return encoded_trials((REPORTS / name / "journal.ndjson").read_bytes(), "journal.ndjson")


@cache
def expected(name: str) -> dict[str, list[Histogram]]:
    """Tag to the histogram of every second, as our own reader has them from the journal."""
    facts = [entry.trial for entry in read(REPORTS / name / "journal.ndjson")]
    return {
        f"{tag}/{metric}": found
        for tag, trial in zip(tags(records(name)), facts, strict=True)
        for metric in METRICS
        if (found := [histogram for histogram in seconds(trial, metric) if histogram.counts])
    }


def seconds(trial: TrialFacts, metric: str) -> list[Histogram]:
    return [getattr(second, metric) for second in trial.load.seconds] if trial.load else []


@pytest.fixture(params=WITH_DIFFERENT_TRIALS, scope="module")
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def log(name, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp(name) / "histograms.hlog"
    path.write_text(interval_log(records(name)), encoding="utf-8")
    return path


@cache
def intervals(log: Path) -> list[HdrHistogram]:
    """Read a log, once: the reader takes a second."""
    reader = HistogramLogReader(str(log), HdrHistogram(1, HIGHEST_US, 3))
    found = []
    while (histogram := reader.get_next_interval_histogram()) is not None:
        found.append(histogram)
    reader.input_file.close()
    return found


def test_the_python_reader_finds_every_second_of_every_trial_with_all_its_values(name, log):
    found = intervals(log)

    for tag, ours in expected(name).items():
        theirs = [histogram for histogram in found if histogram.get_tag() == tag]
        assert [one.total_count for one in theirs] == [one.count for one in ours]
    assert len(found) == sum(map(len, expected(name).values()))


def test_merged_by_tag_it_gives_the_percentiles_that_the_journal_gives(name, log):
    for tag, ours in expected(name).items():
        whole, merged = HdrHistogram(1, HIGHEST_US, 3), merge(ours)
        for histogram in intervals(log):
            if histogram.get_tag() == tag:
                whole.add(histogram)
        percentiles = whole.get_percentile_to_value_dict([50, 95, 99])
        assert len(percentiles) == 3
        for percent, theirs in percentiles.items():  # libraries may round the rank of one to neighbours
            low, high = (merged.percentile_ms(percent + step * 100 / merged.count) for step in (-1, 1))
            assert low * 0.999 <= theirs / 1000 <= high * 1.001
        counts = enumerate(whole.counts[:])  # the library's iterator over them takes a hundred times as long
        recorded = [(bucket(whole.get_value_from_index(at)), count) for at, count in counts if count]
        assert recorded == sorted(merged.counts.items())


@pytest.mark.hdr
def test_the_javascript_reader_finds_the_same(name, log):
    command = ["node", Path(__file__).parent / "read_log.mjs", node_tools(), log]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    found = json.loads(done.stdout)

    python = [
        (one.get_tag(), one.total_count, one.get_value_at_percentile(50), one.get_max_value())
        for one in intervals(log)
    ]
    assert [(line["tag"], line["count"], line["p50"], line["max"]) for line in found] == python


def test_seconds_have_the_time_at_which_they_were_measured(log, name):
    trial = records(name)[0]
    began = datetime.fromisoformat(trial.started_at).timestamp() + trial.warmup_s
    first = next(second.index for second in trial.load.seconds if second.duration or second.response_time)

    assert intervals(log)[0].get_start_time_stamp() / 1000 == began + first


def test_lines_are_in_order_of_time_for_any_order_of_trials(name):
    in_order = interval_log(records(name))
    starts = [float(line.split(",")[1]) for line in in_order.splitlines() if line.startswith("Tag=")]

    assert starts == sorted(starts)
    assert set(interval_log(records(name)[::-1]).splitlines()) == set(in_order.splitlines())


def test_tags_contain_no_comma_and_no_blank_and_are_all_different():
    names = ["4,000 RPS", "4000 RPS", "ü, \n", "4000/RPS"]

    found = tags([replace(TRIAL, stage=name, order=order) for order, name in enumerate(names)])

    assert found == ["a/4000-RPS/1", "a/4000-RPS/1/1", "a/x/1", "a/4000-RPS/1/3"]


def test_the_tag_of_a_counter_experiment_differs_from_that_of_its_trial():
    assert tags([TRIAL, replace(TRIAL, order=1, change="keep-alive")]) == ["a/s/1", "a/s/1/keep-alive"]


def test_repeated_counter_experiments_have_the_same_tags_in_any_order_of_trials():
    blocks = [replace(TRIAL, order=order, change="keep-alive") for order in range(3)]

    found = tags(blocks)

    assert found == ["a/s/1/keep-alive", "a/s/1/keep-alive/1", "a/s/1/keep-alive/2"]
    assert tags(blocks[::-1]) == found[::-1]


def test_a_run_without_histograms_gives_a_log_without_intervals(tmp_path):
    path = tmp_path / "empty.hlog"
    path.write_text(interval_log([TRIAL]), encoding="utf-8")

    assert intervals(path) == []


def test_each_request_of_a_mix_has_lines_with_its_name_in_the_tag(tmp_path):
    facts = mixed_trial(search=Offered(75, 75, 2.0), order=Offered(25, 20, 8.0))
    journal = tmp_path / "journal.ndjson"
    Journal(journal).append(RUN, facts)
    path = tmp_path / "histograms.hlog"
    path.write_text(interval_log(encoded_trials(journal.read_bytes(), "journal.ndjson")), encoding="utf-8")

    counts = Counter()
    for histogram in intervals(path):
        counts[histogram.get_tag()] += histogram.total_count

    assert counts == {
        "shop/100-RPS/1/duration": 4 * 95,
        "shop/100-RPS/1/response_time": 4 * 95,
        "shop/100-RPS/1/request=search/duration": 4 * 75,
        "shop/100-RPS/1/request=search/response_time": 4 * 75,
        "shop/100-RPS/1/request=order/duration": 4 * 20,
        "shop/100-RPS/1/request=order/response_time": 4 * 20,
    }


def test_scenarios_have_the_durations_of_their_runs_and_those_of_each_step(tmp_path):
    journal = tmp_path / "journal.ndjson"
    Journal(journal).append(RUN, scenario_trial(users(window_s=4), window_s=4.0))
    path = tmp_path / "histograms.hlog"
    path.write_text(interval_log(encoded_trials(journal.read_bytes(), "journal.ndjson")), encoding="utf-8")

    counts = Counter()
    for histogram in intervals(path):
        counts[histogram.get_tag()] += histogram.total_count

    of_checkout = "shop/20-users-s/1/scenario=checkout"
    assert counts[f"{of_checkout}/scenario_duration"] == counts[f"{of_checkout}/request=pay/duration"] == 60
    assert counts["shop/20-users-s/1/scenario=visit/scenario_duration"] == 20
    assert counts["shop/20-users-s/1/duration"] == 3 * 60 + 20


def test_a_name_of_a_request_cannot_break_a_line():
    second = EncodedSecond(index=0, parts={"a, b\nTag=c": EncodedPart(duration=EncodedHistogram("x", 1))})

    log = interval_log([replace(TRIAL, load=EncodedLoad((second,)))])

    assert log.splitlines()[-1].startswith("Tag=a/s/1/request=a-b-Tag-c/duration,")


def test_a_run_without_a_mix_has_the_same_log_as_before(log):
    assert "request=" not in log.read_text()
