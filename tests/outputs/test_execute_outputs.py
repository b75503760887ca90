"""A run serves and pushes its metrics while it is in progress, and does not begin where it could not."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from runner.outputs.live_families import FAMILIES, Type
from tests.cli.conftest import Cli
from tests.outputs.test_open_metrics import OPEN_METRICS
from tests.outputs.test_otlp import attributes_of, receiving

DASHBOARD = Path(__file__).parents[2] / "infra" / "grafana" / "loadproof.json"
WAIT = {"run": ["sh", "-c", 'until test -e "$LOADPROOF_TEST/read"; do sleep 0.1; done']}
"""Ends when the test has read what there is after the last trial."""
CHANGES = {
    "load": {"timeout": "2s"},
    "stages": [{"rps": 40, "duration": "2s"}],
    "configurations": [
        {
            "name": "mix",
            "load": {
                "requests": [
                    {"name": "home", "path": "/"},
                    {"name": "other", "path": "/", "query": {"a": "1"}},
                ]
            },
        },
        {
            "name": "users",
            "load": {"scenarios": [{"name": "visit", "steps": [{"request": {"name": "home", "path": "/"}}]}]},
            "stages": [{"users_per_s": 20, "duration": "2s"}],
            "hooks": {"teardown": [WAIT]},
        },
    ],
}


def scrape(url):
    """What Prometheus reads now."""
    request = urllib.request.Request(url, headers={"Accept": OPEN_METRICS})
    with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=5) as response:
        return response.read().decode()
    return "# EOF\n"


def scrape_until_all_trials_ended(process, url):
    """What Prometheus reads after the last trial, while the run still waits for its tear-down."""
    while process.poll() is None:
        text = scrape(url)
        ended = [one.value for one in samples_of(text) if one.name == "loadproof_trials_total"]
        if sum(ended) == len(CHANGES["configurations"]):
            return text
        time.sleep(0.2)
    raise AssertionError(process.stderr.read())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The last scrape of a real run, its results, and what a collector got of it."""
    cli = Cli(tmp_path_factory.mktemp("outputs"))
    with receiving() as collector:
        words = ("--out", "run", "--metrics-port", "0", "--otlp", collector.url)
        with cli.start("execute", cli.write(**CHANGES), *words) as process:
            url = re.search(r"http://\S+/metrics", process.stderr.readline())[0]
            text = scrape_until_all_trials_ended(process, url)
            (cli.folder / "read").touch()
            process.communicate(timeout=120)
    assert process.returncode == 0
    return text, json.loads((cli.folder / "run" / "results.json").read_text()), collector


def samples_of(text):
    families = text_string_to_metric_families(text)
    return [sample for family in families for sample in family.samples]


def test_the_totals_that_are_read_last_are_those_of_the_results(run):
    text, results, _ = run
    samples = samples_of(text)

    def total(name, **labels):
        own = [one for one in samples if one.name == name and labels.items() <= one.labels.items()]
        return sum(one.value for one in own)

    mix, users = (one["stages"][0] for one in results["configurations"])
    for name in ("home", "other"):
        place = {"configuration": "mix", "request": name}
        requests = mix["parts"][name]["requests"]
        assert total("loadproof_requests_total", **place, result="succeeded") == requests["succeeded"] > 0
        assert total("loadproof_request_duration_seconds_count", **place) == requests["succeeded"]
    runs = users["scenarios"]
    assert total("loadproof_scenarios_total", result="completed", scenario="visit") == runs["completed"] > 0
    assert total("loadproof_trials_total", status="complete") == 2


def test_the_collector_got_the_same_totals_and_a_span_for_each_stage(run):
    _, results, collector = run

    last = collector.metrics[-1].resource_metrics[0].scope_metrics[0].metrics
    points = next(one for one in last if one.name == "loadproof_requests").sum.data_points
    succeeded = [
        point.as_int
        for point in points
        if {"mix", "succeeded"} <= {value.string_value for value in attributes_of(point).values()}
    ]
    stages = [stage for one in results["configurations"] for stage in one["stages"]]
    assert sum(succeeded) == stages[0]["requests"]["succeeded"]
    whole, *children = collector.spans[0].resource_spans[0].scope_spans[0].spans
    assert whole.name == "loadproof tiny"
    assert [attributes_of(one)["loadproof.actual_rps"].double_value for one in children] == [
        stage["actual_rps"] for stage in stages
    ]
    for child, stage in zip(children, stages, strict=True):
        taken_s = (child.end_time_unix_nano - child.start_time_unix_nano) / 1e9
        assert taken_s >= stage["window_s"]


def test_a_real_run_serves_every_metric_that_applies_to_it(run):
    names = {sample.name for sample in samples_of(run[0])}

    served = {family.name for family in FAMILIES if names & series_of(family)}
    assert {family.name for family in FAMILIES} - served <= {
        "loadproof_search_probes",  # has no search
        "loadproof_target_requests_per_second",  # the last stage has users
        "loadproof_target_users_per_second",  # of seconds in which users are due
        "loadproof_latency_seconds",  # of seconds in which a response arrives
    }


def series_of(family):
    """The names under which Prometheus stores a metric."""
    if family.type is Type.HISTOGRAM:
        return {f"{family.name}_{suffix}" for suffix in ("bucket", "sum", "count")}
    return {f"{family.name}_total" if family.type is Type.COUNTER else family.name}


def test_every_metric_and_label_of_the_dashboard_exists():
    known = {name: {*family.labels, "le"} for family in FAMILIES for name in series_of(family)}
    dashboard = json.loads(DASHBOARD.read_text())
    texts = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    texts += [variable.get("definition", "") for variable in dashboard["templating"]["list"]]
    used = set()

    for text in texts:
        for name, selector in re.findall(r"(loadproof_\w+)(?:\{([^}]*)\})?", text):
            assert name in known, text
            used.add(name)
            for label in re.findall(r"(\w+)\s*(?:=~|!=|=)", selector):
                assert label in known[name], text
        for labels in re.findall(r"by \(([^)]*)\)", text):
            assert {label.strip() for label in labels.split(",")} <= set.union(*known.values()), text
    assert {family.name for family in FAMILIES if not series_of(family) & used} == set()


def test_a_port_that_is_taken_ends_the_run_before_it_begins(tmp_path):
    cli = Cli(tmp_path / "here")
    cli.folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = cli.in_process("execute", cli.write(), "--out", "run", "--metrics-port", port)

    assert done.returncode == 3
    assert f"port {port}" in done.stderr
    assert "--metrics-port" in done.stderr
    assert not (cli.folder / "run").exists()
