"""The picture of each limit draws what its verdict rests on: the pool, the quota, the disk, what ran out."""

from __future__ import annotations

import json

from msgspec.structs import replace

from runner.core.codes import Limit, Role
from runner.core.findings import Evidence
from runner.core.observed_results import (
    CounterReading,
    PeerUsage,
    ProgramUsage,
    SubjectUsage,
    ThrottlingShare,
    Usage,
)
from runner.core.system_facts import LimitFacts, ServiceFacts
from tests.report.charts.test_why import drawn
from tests.report.stored_results import stored, with_configuration, with_stage
from tests.report.test_headline import limited_to

LIMITED = (0, 3)


def of(limit, *evidence, service=None, **changes):
    """A run that is limited at 10,000 RPS, with other facts of that stage."""
    finding = {"evidence": evidence} if evidence else {}
    results = limited_to(stored("single-process"), LIMITED, limit, **finding)
    verdict = results.configurations[0].stages[3].verdict
    if service:
        named = replace(verdict.findings[0], service=service)
        verdict = replace(verdict, findings=(named,))
    return with_stage(results, LIMITED, verdict=verdict, **changes)


def counter(name, scope="app", **values):
    numbers = {"before": 0, "after": 0, "peak": None, "limit": None, "delta": None} | values
    return CounterReading(scope=scope, name=name, unit="count", kind="gauge", **numbers)


def values(chart, panel):
    """Series to value at the limited stage, of one panel."""
    panels = chart.spec.get("vconcat", [chart.spec])
    return {row["series"]: row["value"] for row in panels[panel]["data"]["values"] if row["level"] == 10_000}


def rules(chart):
    """Where the dashed lines are, from above."""
    panels = chart.spec.get("vconcat", [chart.spec])
    layers = [layer for panel in panels for layer in panel["layer"]]
    return [layer["encoding"]["y"]["datum"] for layer in layers if layer["mark"].get("type") == "rule"]


def moments_with(results, in_flight):
    stage = results.configurations[0].stages[3]
    return tuple(replace(moment, in_flight=in_flight) for moment in stage.timeseries)


def test_a_pool_in_use_is_drawn_against_its_size_and_beside_the_requests_that_wait():
    results = of(Limit.POOL, service="db")
    stage = results.configurations[0].stages[3]
    subject = next(name for name, one in stage.cpu_cores_by_subject.items() if one.role == Role.APP)
    peer = PeerUsage(subject, "db", "127.0.0.1", 5432, "postgres", 7, (5, 5.0, 5), 4.9, 12)

    chart = drawn(with_stage(results, LIMITED, peers=(peer,), timeseries=moments_with(results, 120)))

    assert chart.title == (
        "At 10,000 RPS, 98 % of the app’s 5 connections to db were in use while 120 requests were under way: "
        "the others waited for one"
    )
    assert values(chart, 0) == {"connections in use": 4.9, "connections open": 5.0}
    assert values(chart, 1) == {"requests under way": 120.0}
    assert rules(chart) == [5.0, 2]


def test_throttled_periods_are_drawn_beside_cpu_with_the_line_of_the_quota():
    results = of(Limit.APP_QUOTA, throttling_by_subject={"app": ThrottlingShare(200, 150)})
    system = replace(results.configurations[0].topology, limits=LimitFacts(0.5, None))

    chart = drawn(with_configuration(results, topology=system))

    assert chart.title.startswith(
        "At 10,000 RPS, the CPU quota of the app throttled it in 75 % of the periods;"
    )
    assert chart.title.endswith(" of 0.50 cores")
    assert values(chart, 0) == {"app": 75.0}
    assert set(values(chart, 1)) == {"app"}
    assert rules(chart) == [25.0, 0.5]


def test_a_service_that_its_quota_throttles_is_drawn_against_its_own_limit():
    stage = stored("single-process").configurations[0].stages[3]
    results = of(
        Limit.SERVICE,
        service="db",
        throttling_by_subject={"db": ThrottlingShare(100, 100), "app": ThrottlingShare(100, 0)},
        cpu_cores=stage.cpu_cores | {"db": Usage(0.2, 0.2)},
        cpu_cores_by_subject=stage.cpu_cores_by_subject | {"db": SubjectUsage("db", Usage(0.2, 0.2))},
    )
    db = ServiceFacts(origin="started", limits=LimitFacts(0.2, None))
    system = replace(results.configurations[0].topology, services={"db": db})

    chart = drawn(with_configuration(results, topology=system))

    assert chart.title == (
        "At 10,000 RPS, the CPU quota of db throttled it in 100 % of the periods; it used 0.20 of 0.20 cores"
    )
    assert (values(chart, 0), values(chart, 1)) == ({"db": 100.0}, {"db": 0.2})
    assert rules(chart) == [25.0, 0.2]


def test_a_proxy_that_its_quota_throttles_is_drawn_and_not_the_app():
    stage = stored("single-process").configurations[0].stages[3]
    used = Usage(0.06, 0.06)
    chart = drawn(
        of(
            Limit.PROXY_CPU,
            throttling_by_subject={"nginx": ThrottlingShare(80, 78), "app": ThrottlingShare(80, 80)},
            cpu_cores=stage.cpu_cores | {Role.PROXY: used},
            cpu_cores_by_subject=stage.cpu_cores_by_subject | {"nginx": SubjectUsage("proxy", used)},
        )
    )

    assert "the CPU quota of the proxy throttled it in 97.5 % of the periods" in chart.title
    assert (values(chart, 0), values(chart, 1)) == ({"nginx": 97.5}, {"proxy": 0.06})


def test_a_program_outside_the_experiment_that_limits_is_the_thickest_line():
    program = ProgramUsage("postgres", (7,), 0.97, 0.97, serves=True, port=5432)
    chart = drawn(of(Limit.SERVICE, service="postgres", programs=(program,)))

    rows = chart.spec["data"]["values"]
    assert {(row["series"], row["cores"]) for row in rows if row["main"]} == {("postgres", 0.97)}


def test_the_disk_is_drawn_with_the_waits_of_the_part_that_needs_it():
    waited = Evidence("db waited for I/O", 80.0, "%", 50.0)
    busy = Evidence("device sda was busy", 95.0, "%", 90.0)
    stage = stored("single-process").configurations[0].stages[3]
    read = (
        counter("io.wait_s", "db", delta=0.8 * stage.window_s),
        counter("disk.sda.busy_s", "host", delta=0.95 * stage.window_s),
    )
    chart = drawn(
        of(
            Limit.IO, waited, busy, service="db",
            counters=read,
            cpu_cores_by_subject=stage.cpu_cores_by_subject | {"db": SubjectUsage("db", None)},
        )
    )  # fmt: skip

    assert chart.title == "At 10,000 RPS, db waited for I/O: 80 %; the bound is 50 %"
    assert values(chart, 0) == {"db waited for I/O": 80.0}
    assert values(chart, 1) == {"device sda was busy": 95.0}
    assert rules(chart) == [50.0, 90.0]


def test_files_in_use_are_drawn_against_their_bound_and_not_the_repeated_syns_beside_them():
    read = (counter("fds.open", peak=95, limit=100), counter("tcp.syn_retransmits", "net:host", delta=3))
    chart = drawn(of(Limit.CONNECTION, Evidence("open files of app", 95, "files", 90.0), counters=read))

    assert values(chart, 0) == {"open files of app": 95.0}
    assert rules(chart) == [90.0]


def test_failures_of_a_service_without_room_have_its_connections_below_them():
    full = Evidence("peak of connections of db", 100, "connections", 100)
    requests = stored("single-process").configurations[0].stages[3].requests
    requests = replace(requests, failed=500, failures={"bad_status": 500})
    read = (counter("pg.connections", "db", peak=100, after=100, limit=100),)

    chart = drawn(of(Limit.ERROR, full, requests=requests, counters=read))

    assert chart.title.endswith("; peak of connections of db: 100 of at most 100")
    assert values(chart, 1) == {"peak of connections of db": 100.0}
    assert rules(chart) == [100]


def test_memory_of_a_part_that_was_killed_has_the_line_of_its_limit():
    results = of(Limit.MEMORY, Evidence("processes killed for lack of memory", 1, "count", 1))
    system = replace(results.configurations[0].topology, limits=LimitFacts(None, 128.0))

    chart = drawn(with_configuration(results, topology=system))

    assert rules(chart) == [128.0]


def test_requests_that_wait_inside_the_app_are_drawn_beside_the_cpu_that_was_left():
    results = of(Limit.APP_CONCURRENCY)
    chart = drawn(with_stage(results, LIMITED, timeseries=moments_with(results, 80)))

    assert values(chart, 0) == {"requests under way": 80.0}
    assert set(values(chart, 1)) == {"app", "host total"}
    assert "80 requests were under way while the app used 1.00 cores: they waited" in chart.title


def test_a_generator_on_a_full_host_has_the_cpu_of_that_host_as_its_picture():
    full = stored("single-process").configurations[0].stages[3].cpu_cores | {"system": Usage(1.99, 2.0)}
    chart = drawn(of(Limit.GENERATOR, Evidence("CPU of the host", 1.99, "cores"), cpu_cores=full))

    assert "the host’s 2 cores" in chart.subtitle
    assert '"datum": 2' in json.dumps(chart.spec)


def test_of_a_single_level_the_causes_are_bars():
    results = of(Limit.APP_QUOTA, throttling_by_subject={"app": ThrottlingShare(200, 150)})
    single = with_configuration(results, stages=(results.configurations[0].stages[3],))

    chart = drawn(single)

    assert [panel["layer"][0]["mark"]["type"] for panel in chart.spec["vconcat"]] == ["bar", "bar"]
