"""The registry of metrics against the types of results, the documentation and stored runs."""

from functools import cache
from pathlib import Path

import msgspec
import pytest

from runner.core.measured import Latency, Measured
from runner.core.metrics import LATENCIES, METRICS, SCENARIO_DURATION, STATISTICS
from runner.store.results_file import parse_results

ROOT = Path(__file__).parents[2]
STORED = sorted((ROOT / "tests" / "results").glob("*.json"))


@cache
def stages():
    """All stages of stored runs, each with what JSON has of it."""
    results = [parse_results(path.read_bytes(), path) for path in STORED]
    found = [configuration for one in results for configuration in one.configurations]
    return [(stage, msgspec.to_builtins(stage)) for one in found for stage in one.stages]


def test_every_latency_of_a_stage_is_in_the_registry_in_the_same_order():
    fields = [field for field in Measured.__struct_fields__ if field.endswith("_ms")]

    assert [kind.field for kind in (*LATENCIES, SCENARIO_DURATION)] == fields
    assert (*STATISTICS, "unbounded") == Latency.__struct_fields__


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.path)
def test_every_metric_reads_the_number_at_its_place_in_results(metric):
    seen = 0
    for stage, plain in stages():
        node = plain
        for key in metric.key.split("."):
            node = node.get(key) if isinstance(node, dict) else None
        if metric.scenarios_only:
            assert metric.read(stage) is None  # no stored run has scenarios
            continue
        if metric.key in {"errors", "dropped"}:
            requests = stage.requests
            lost = requests.failed + requests.dropped
            node = {"errors": lost / requests.scheduled, "dropped": requests.dropped}[metric.key]
        assert metric.read(stage) == node
        seen += node is not None
    assert seen or metric.scenarios_only or metric.path.startswith(("tls.", "memory.", "cpu."))


def test_paths_keys_and_titles_are_unique():
    for names in (
        [m.path for m in METRICS.values()],
        [m.key for m in METRICS.values()],
        [m.title for m in METRICS.values()],
    ):
        assert len(set(names)) == len(names)


def test_the_documentation_defines_every_metric_as_the_registry_does():
    page = (ROOT / "docs" / "metrics.md").read_text()

    for kind in (*LATENCIES, SCENARIO_DURATION):
        assert f"| `{kind.name}` | {kind.title} | {kind.definition} |" in page
    for metric in METRICS.values():
        if "." not in metric.path:
            assert f"| `{metric.path}` | {metric.title} | {metric.definition} |" in page
