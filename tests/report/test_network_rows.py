"""Bytes in the table of network and disk: by role, by machine, and not at all in results without them."""

from __future__ import annotations

from msgspec.structs import replace

from runner.core.node_results import NodeResults
from runner.core.observed_results import CounterReading, SubjectUsage, Usage
from runner.report.traffic_table import traffic_table
from tests.report.stored_results import first_stage, stored

MIB = 2**20


def _counter(scope: str, name: str, mib_per_s: float, seconds: float) -> CounterReading:
    rise = mib_per_s * MIB * seconds
    return CounterReading(scope, name, "bytes", "counter", 5.0, 5.0 + rise, None, None, rise)


def _rows(stage):
    lines = [line.strip("| ").split("|") for line in traffic_table([stage]).splitlines()]
    return {cells[0].strip(): cells[-1].strip() for cells in lines if "MiB/s" in cells[0]}


def _stage(*counters, nodes=()):
    """A stage with CPU of two replicas and a proxy, and only these counters."""
    stage = first_stage(stored("docker-4k"))
    roles = {"app-1": "app", "app-2": "app", "nginx": "proxy"}
    subjects = {name: SubjectUsage(role, Usage(0.1, 0.1)) for name, role in roles.items()}
    counters = tuple(_counter(*counter, stage.window_s) for counter in counters)
    return replace(stage, cpu_cores_by_subject=subjects, counters=counters, nodes=nodes)


def test_bytes_of_replicas_are_added_up_and_those_of_the_machine_are_apart():
    stage = _stage(
        ("net:app-1", "net.sent_bytes", 30.0),
        ("net:app-2", "net.sent_bytes", 12.0),
        ("net:app-2", "net.lo.bytes", 9.0),
        ("net:host", "net.lo.bytes", 7.0),
        ("net:host", "net.received_bytes", 0.0),
        ("net:nginx", "net.received_bytes", 50.0),
    )

    assert _rows(stage) == {
        "Over loopback of the host (MiB/s)": "7",
        "Sent by app (MiB/s)": "42",
        "Received by proxy (MiB/s)": "50",
    }


def test_bytes_of_nodes_are_added_up_and_not_those_of_the_runners_machine():
    seconds = first_stage(stored("docker-4k")).window_s
    nodes = tuple(
        NodeResults(
            name,
            counters=(
                _counter("net:host", "net.sent_bytes", 20.0, seconds),
                _counter("net:host", "net.lo.bytes", 90.0, seconds),
                _counter(f"net:{part}", "net.sent_bytes", 5.0, seconds),
            ),
        )
        for name, part in (("node-1", "app-1"), ("node-2", "app-2"))
    )

    assert _rows(_stage(("net:host", "net.sent_bytes", 3.0), nodes=nodes)) == {
        "Sent by the runner's machine (MiB/s)": "3",
        "Sent by all nodes (MiB/s)": "40",
        "Sent by app (MiB/s)": "10",
    }


def test_results_without_bytes_have_no_rows_for_them():
    assert not [row for row in _rows(first_stage(stored("docker-4k"))) if "eceived" in row or "Sent" in row]
