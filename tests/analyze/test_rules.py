"""Each limit is found or ruled out by its own number, and never proven if it may be a consequence."""

import pytest
from msgspec.structs import replace

from runner.analyze.verdict import verdict
from runner.core.codes import StageStatus
from runner.core.load_facts import ConnectionCounts
from runner.core.measured import Latency, Part, Requests
from runner.core.observed_results import (
    CounterReading,
    Moment,
    StageEvent,
    SubjectUsage,
    ThrottlingShare,
    UnreadableCounter,
    Usage,
)
from tests.analyze import stages as made


def counter(name, scope="app", before=0, after=0, limit=None):
    gauge = name.startswith(
        (
            "threads.h",
            "threads.r",
            "threads.c",
            "threads.a",
            "memory.usage",
            "memory.working",
            "nginx.active",
            "tcp.accept",
            "conntrack.count",
            "ports",
            "fds",
        )
    )
    return CounterReading(
        scope=scope,
        name=name,
        unit="count",
        kind="gauge" if gauge else "counter",
        before=before,
        after=after,
        peak=after if gauge else None,
        limit=limit,
        delta=None if gauge else after - before,
    )


def cores(**roles):
    """Return CPU by role; None for a role that was not observed."""
    return {role: None if used is None else Usage(used, None) for role, used in roles.items()}


def subjects(**roles):
    return {name: SubjectUsage(role, None) for name, role in roles.items()}


SHORT = made.stage(
    actual_rps=500.0,
    achieved=0.5,
    requests=Requests(scheduled=5000, sent=5000, succeeded=2500, failed=0, dropped=0, failures={}),
    cpu_cores=cores(app=0.3, generator=0.1, system=0.6),
    cpu_cores_by_subject=subjects(app="app", nginx="proxy"),
    response_time_ms=Latency(mean=2.0),
    timeseries=tuple(Moment(float(t), None, None, in_flight=1) for t in range(1, 6)),
    counters=(counter("threads.hottest_cores", after=0.3), counter("tcp.listen_overflows", "net:host")),
)


def stage(**changes):
    """Return a stage that fell short on an idle host of two cores for no visible reason."""
    return replace(SHORT, **changes)


def judged(**changes):
    return verdict(stage(**changes), 2)


def with_counters(*more, **changes):
    base = [known for known in SHORT.counters if known.name not in {one.name for one in more}]
    return judged(counters=(*base, *more), **changes)


def requests(**changes):
    return replace(SHORT.requests, **changes)


FULL = cores(app=0.9, other=0.7, system=1.95)
WAITING = tuple(Moment(float(t), None, None, in_flight=100 * t) for t in range(1, 6))

CASES = {
    "one saturated thread": (
        with_counters(counter("threads.hottest_cores", after=0.99)), "app-cpu-limited", "likely"
    ),
    "a saturated Nginx worker": (
        with_counters(counter("threads.hottest_cores", "nginx", after=0.98)), "proxy-cpu-limited", "likely"
    ),
    "a saturated Nginx worker that sometimes waited for a processor": (
        with_counters(
            counter("threads.hottest_cores", "nginx", after=0.83),
            counter("threads.runnable_share", "nginx", after=0.96),
            timeseries=WAITING, requests=requests(dropped=900), response_time_ms=Latency(mean=600.0),
        ),
        "proxy-cpu-limited", "likely",
    ),
    "a quota that makes a thread wait": (
        with_counters(
            counter("threads.hottest_cores", after=0.8), counter("threads.runnable_share", after=0.99),
            throttling_by_subject={"app": ThrottlingShare(100, 60)},
        ),
        "app-quota-throttled", "likely",
    ),
    "a quota": (
        judged(throttling_by_subject={"app": ThrottlingShare(100, 90)}),
        "app-quota-throttled", "likely",
    ),
    "a saturated host": (judged(cpu_cores=FULL), "host-cpu-limited", "likely"),
    "docker-proxy uses most CPU": (
        judged(cpu_cores=cores(app=0.5, forwarder=1.1, system=1.98)),
        "forwarder-limited", "likely",
    ),
    "an accept queue": (
        with_counters(counter("tcp.listener_drops.80", "net:app", 3, 900)), "connection-limited", "proven"
    ),
    "an accept queue of an unknown listener": (
        with_counters(counter("tcp.listen_overflows", "net:host", 3, 900)), "connection-limited", "likely"
    ),
    "Nginx at its connection limit": (
        with_counters(
            counter("nginx.active", "nginx", 0, 16, limit=32),
            requests=requests(failed=900, failures={"bad_status": 900}),
        ),
        "connection-limited", "likely",
    ),
    "a thread that waits for a processor": (
        with_counters(
            counter("threads.hottest_cores", after=0.52), counter("threads.runnable_share", after=0.99),
            timeseries=WAITING, requests=requests(dropped=900), response_time_ms=Latency(mean=600.0),
        ),
        "host-cpu-limited", "likely",
    ),
    "one of two replicas waits for a processor": (
        with_counters(
            counter("threads.hottest_cores", "app-1", after=0.6),
            counter("threads.hottest_cores", "app-2", after=0.4),
            counter("threads.runnable_share", "app-1", after=0.6),
            counter("threads.runnable_share", "app-2", after=0.99),
            cpu_cores_by_subject=subjects(**{"app-1": "app", "app-2": "app"}),
            timeseries=WAITING, requests=requests(dropped=900), response_time_ms=Latency(mean=600.0),
        ),
        "host-cpu-limited", "likely",
    ),
    "an app that saturates its only processor": (
        with_counters(
            counter("threads.hottest_cores", after=0.5), counter("threads.runnable_share", after=0.99),
            counter("threads.allowed_cpus", after=1),
            cpu_cores=cores(app=0.99, system=1.2),
        ),
        "app-cpu-limited", "likely",
    ),
    "no free file": (
        with_counters(counter("fds.open", after=40, limit=40)), "connection-limited", "likely"
    ),
    "a proxy without ports": (
        with_counters(
            counter("ports.in_use", "net:host", after=100, limit=100),
            requests=requests(failed=900, failures={"bad_status": 900}),
        ),
        "connection-limited", "likely",
    ),
    "errors of an app without CPU": (
        with_counters(
            counter("threads.hottest_cores", after=0.99),
            requests=requests(failed=4000, failures={"bad_status": 4000}),
        ),
        "error-limited", "likely",
    ),
    "a full connection table": (
        with_counters(counter("conntrack.drop", "net:host", 0, 5)), "connection-limited", "proven"
    ),
    "no local port": (
        judged(requests=requests(failed=2500, failures={"no_port": 2500})), "connection-limited", "proven"
    ),
    "Nginx closes connections": (
        with_counters(counter("nginx.accepts", "nginx", 0, 100), counter("nginx.handled", "nginx", 0, 60)),
        "connection-limited", "proven",
    ),
    "retransmitted SYNs": (
        with_counters(counter("tcp.syn_retransmits", "net:host", 0, 700)), "connection-limited", "likely"
    ),
    "slots": (
        judged(timeseries=WAITING, requests=requests(dropped=900), response_time_ms=Latency(mean=600.0)),
        "app-concurrency-limited", "likely",
    ),
    "memory": (with_counters(counter("memory.oom_kills", "app", 0, 1)), "memory-limited", "proven"),
    "an app at its memory limit": (
        with_counters(
            counter("memory.limit_hits", "app", 0, 50), counter("memory.usage_bytes", after=990, limit=1000)
        ),
        "memory-limited", "likely",
    ),
    "errors": (
        judged(requests=requests(failed=4000, failures={"bad_status": 4000})), "error-limited", "proven"
    ),
    "nothing": (judged(), "undetermined", "hint"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_limit_is_as_certain_as_its_counter_allows(case):
    found, code, confidence = CASES[case]

    assert (found.code, found.confidence) == (code, confidence)
    assert code == "undetermined" or found.findings[0].evidence


def beside_other_programs(*more, wanted=0.37, **changes):
    """Return the verdict on a service with four slots beside two programs that use all CPU."""
    return with_counters(
        counter("threads.hottest_cores", after=0.16), *more,
        *([] if wanted is None else [counter("threads.runnable_share", after=wanted)]),
        **{"cpu_cores": cores(app=0.16, generator=0.09, other=1.74, system=2.0)} | QUEUE | changes,
    )  # fmt: skip


def test_other_programs_that_use_all_cpu_do_not_rule_out_the_limit_of_an_idle_service():
    found = beside_other_programs()

    assert [(each.code, each.confidence) for each in found.findings] == [
        ("app-concurrency-limited", "likely")
    ]
    whys = {each.code: each.why for each in found.ruled_out}
    assert "only 37 % of the time" in whys["host-cpu-limited"]
    evidence = {each.name: (each.value, each.threshold) for each in found.findings[0].evidence}
    assert evidence["host CPU"] == (2.0, None)  # a bound would speak against the verdict
    assert evidence["CPU wanted by the busiest threads of the system together"] == (0.37, 0.8)


def test_a_service_that_other_programs_may_have_delayed_is_called_limited_as_a_hint():
    found = beside_other_programs(wanted=0.7)

    assert [(each.code, each.confidence) for each in found.findings] == [("app-concurrency-limited", "hint")]


def test_a_service_that_wants_cpu_beside_other_programs_is_limited_by_the_host():
    found = beside_other_programs(wanted=0.95)

    assert (found.code, found.confidence) == ("host-cpu-limited", "likely")
    assert "CPU wanted by the busiest threads of the system together" in {
        item.name for item in found.findings[0].evidence
    }
    assert "app-concurrency-limited" in {each.code for each in found.ruled_out}


def test_unknown_waiting_times_of_threads_rule_nothing_out_beside_other_programs():
    found = beside_other_programs(wanted=None)

    assert (found.code, found.confidence) == ("host-cpu-limited", "likely")
    assert "app-concurrency-limited" not in {each.code for each in found.ruled_out}


@pytest.mark.parametrize(("opened", "confidence"), [(1, "hint"), (500, "likely")])
def test_more_repeated_syns_than_the_generators_own_connections_explain_are_a_hint(opened, confidence):
    repeated = counter("tcp.syn_retransmits", "net:host", 0, 2_000)
    found = with_counters(repeated, connections=ConnectionCounts(opened=opened, closed_by_server=0))

    (finding,) = [one for one in found.findings if one.code == "connection-limited"]
    assert finding.confidence == confidence


def test_a_system_that_was_not_observed_is_limited_by_other_programs_at_most_perhaps():
    found = beside_other_programs(wanted=None, cpu_cores=cores(generator=0.09, other=1.9, system=2.0))

    assert (found.code, found.confidence) == ("host-cpu-limited", "hint")


def test_an_app_that_fills_the_host_with_many_threads_is_not_called_idle():
    found = beside_other_programs(cpu_cores=cores(app=1.6, generator=0.1, other=0.3, system=2.0))

    assert (found.code, found.confidence) == ("host-cpu-limited", "likely")
    assert "app-concurrency-limited" in {each.code for each in found.ruled_out}


def test_a_fast_request_of_the_same_service_is_evidence_that_cpu_was_not_missing():
    measured = {name: getattr(SHORT, name) for name in Part.__struct_fields__ if hasattr(SHORT, name)}
    slow, fast = (Part(**measured | {"duration_ms": Latency(p50=p50)}) for p50 in (669.0, 1.85))

    items = {
        each.name: each.value
        for each in beside_other_programs(parts={"order": slow, "book": fast}).findings[0].evidence
    }

    assert (items["median duration of order"], items["median duration of book"]) == (669.0, 1.85)


def test_the_one_request_of_a_mix_that_times_out_is_named():
    measured = {name: getattr(SHORT, name) for name in Part.__struct_fields__ if hasattr(SHORT, name)}
    lost = Requests(400, 400, 80, 320, 0, {"timeout": 320})
    slow = Part(**measured | {"duration_ms": Latency(), "requests": lost})
    fast = Part(**measured | {"duration_ms": Latency(p50=1.85)})

    finding = beside_other_programs(parts={"report": slow, "book": fast}).findings[0]

    assert (
        "320 of 400 requests report failed, while the median duration of book was 1.85 ms" in finding.summary
    )


def test_the_one_request_of_a_mix_that_is_refused_is_named():
    measured = {name: getattr(SHORT, name) for name in Part.__struct_fields__ if hasattr(SHORT, name)}
    total = Requests(1000, 1000, 760, 240, 0, {"bad_status": 240}, {"502": 240})
    refused = Requests(250, 250, 10, 240, 0, {"bad_status": 240}, {"502": 240})
    parts = {
        "buy": Part(**measured | {"requests": refused}),
        "home": Part(**measured | {"requests": Requests(750, 750, 750, 0, 0, {})}),
    }

    def summary(**changes):
        return next(one for one in with_counters(**changes).findings if one.code == "error-limited").summary

    assert summary(parts=parts, requests=total).endswith("; all of them are requests buy")
    assert "of them" not in summary(parts=dict.fromkeys(parts, parts["buy"]), requests=refused)


@pytest.mark.parametrize("case", CASES)
def test_a_limit_that_was_found_is_not_ruled_out(case):
    found, _, _ = CASES[case]

    named = {each.code for each in found.findings}
    assert not named & {each.code for each in found.ruled_out}


UNWATCHED = cores(app=None, generator=0.1, other=1.0, system=1.1)
QUEUE = {"timeseries": WAITING, "requests": requests(dropped=900), "response_time_ms": Latency(mean=600.0)}
LISTENS = counter("tcp.accept_queue.80", "net:host", limit=128)
OVERFLOWS = counter("tcp.listen_overflows", "net:host")


def test_an_unobserved_service_is_not_reported_as_waiting_while_something_was_busy():
    found = judged(cpu_cores=UNWATCHED, counters=(LISTENS, OVERFLOWS), **QUEUE)

    assert found.code == "undetermined"
    assert "topology.pids" in found.findings[0].advice
    assert "app-quota-throttled" not in {each.code for each in found.ruled_out}


def test_an_unobserved_service_may_be_busy_on_a_host_with_stolen_cpu():
    fewer = UNWATCHED | cores(other=0.4, system=0.5)
    stolen = counter("cpu.steal_s", "host", 0, 2.0)

    found = judged(cpu_cores=fewer, counters=(LISTENS, OVERFLOWS, stolen), window_s=5.0, **QUEUE)

    assert found.code == "undetermined"


def test_an_unobserved_service_waits_if_the_whole_host_was_idle():
    idle = UNWATCHED | cores(other=0.1, system=0.2)

    assert judged(cpu_cores=idle, counters=(LISTENS, OVERFLOWS), **QUEUE).code == "app-concurrency-limited"


def test_counters_of_this_host_say_nothing_about_a_service_on_another_host():
    found = judged(cpu_cores=UNWATCHED | cores(other=0.1), counters=(OVERFLOWS,), **QUEUE)

    assert found.code == "undetermined"
    whys = {each.code: each.why for each in found.ruled_out}
    assert not whys.keys() & {"host-cpu-limited", "memory-limited", "app-concurrency-limited"}
    assert "accept queue" not in whys["connection-limited"]


def test_unreadable_counters_are_named_if_a_limit_is_ruled_out():
    hidden = (UnreadableCounter("net:nginx", "tcp", "not permitted"),)

    whys = {each.code: each.why for each in judged(unreadable=hidden).ruled_out}

    assert whys["connection-limited"].endswith("some counters could not be read in the network of nginx")


def test_a_probe_that_is_too_slow_for_its_search_has_reached_a_limit_if_one_shows():
    full = (counter("threads.hottest_cores", after=0.97),)

    busy, idle = (verdict(stage(achieved=1.0, counters=found), 2, passed=False) for found in (full, ()))

    assert (busy.code, idle.code) == ("app-cpu-limited", "within-capacity")


def test_limits_are_ruled_out_by_a_number():
    whys = {each.code: each.why for each in judged().ruled_out}

    assert whys["app-cpu-limited"] == "the app's busiest thread used 0.30 of a core"
    assert whys["host-cpu-limited"] == "the host used 0.60 of its 2 cores"
    assert whys["app-quota-throttled"] == "no CPU limit was set"
    assert "0 SYNs were retransmitted" in whys["connection-limited"]


def test_garbage_collection_is_evidence_for_a_saturated_thread():
    found = with_counters(
        counter("threads.hottest_cores", after=0.99),
        counter("app.gc_s", before=1.0, after=1.25),
        window_s=5.0,
    )

    (item,) = (each for each in found.findings[0].evidence if "garbage" in each.name)
    assert (item.value, item.unit) == (5.0, "% of the time")


def test_an_accept_queue_that_overflows_in_a_busy_app_is_a_consequence():
    found = with_counters(
        counter("tcp.listener_drops.80", "net:app", 0, 900), counter("threads.hottest_cores", after=1.0)
    )

    assert [(each.code, each.confidence) for each in found.findings] == [
        ("app-cpu-limited", "likely"),
        ("connection-limited", "hint"),
    ]


QUEUED = {
    "timeseries": WAITING, "requests": requests(dropped=900), "response_time_ms": Latency(mean=600.0),
}  # fmt: skip
"""Of a stage in which requests wait inside the service."""


def queue(average, scope="net:app", port=80):
    """Return the counters of an accept queue of 128 that overflowed: its length is the average."""
    return (
        counter(f"tcp.listener_drops.{port}", scope, 0, 900),
        replace(counter(f"tcp.accept_queue.{port}", scope, 0, average, limit=128), peak=129),
    )


@pytest.mark.parametrize(
    ("average", "codes"),
    [
        (127, [("app-concurrency-limited", "likely"), ("connection-limited", "hint")]),
        (20, [("connection-limited", "proven"), ("app-concurrency-limited", "hint")]),
    ],
    ids=["full all the time", "full in bursts"],
)
def test_an_accept_queue_that_is_always_full_is_the_end_of_the_queue_inside_the_service(average, codes):
    found = with_counters(*queue(average), **QUEUED)

    assert [(it.code, it.confidence) for it in found.findings] == codes
    advice = next(it.advice for it in found.findings if it.code == "connection-limited")
    assert ("a larger backlog does not help" in advice) == (average == 127)


def test_an_accept_queue_that_is_always_full_is_the_limit_where_nothing_else_shows():
    found = with_counters(*queue(127))

    assert (found.code, found.confidence) == ("connection-limited", "proven")
    assert "accepted them as fast as it could" in found.findings[0].summary


def test_a_few_dropped_connections_do_not_explain_a_stage():
    found = with_counters(counter("tcp.listener_drops.80", "net:app", 3, 33), **QUEUED)

    assert [(it.code, it.confidence) for it in found.findings] == [
        ("app-concurrency-limited", "likely"),
        ("connection-limited", "hint"),
    ]
    assert "few for 5,000 requests" in found.findings[1].summary


OF_SERVICE = subjects(app="app", upstream="upstream")


@pytest.mark.parametrize("average", [127, 20])
def test_a_full_accept_queue_of_a_service_names_the_service_and_not_the_path_to_the_app(average):
    found = with_counters(
        *queue(average, "net:upstream", 9000),
        counter("tcp.syn_retransmits", "net:host", 0, 700),
        counter("tcp.listener_drops.80", "net:app"),
        cpu_cores_by_subject=OF_SERVICE,
        **(QUEUED if average == 127 else {}),
    )

    first = "app-concurrency-limited" if average == 127 else "connection-limited"
    assert (found.code, found.confidence) == (first, "likely")
    finding = next(it for it in found.findings if it.code == "connection-limited")
    assert finding.service == "upstream"
    assert "the accept queue of upstream (port 9000, length 128)" in finding.summary


@pytest.mark.parametrize("scope", ["net:app", "net:upstream"])
def test_an_app_without_ports_in_its_own_network_is_at_a_limit_of_connections(scope):
    found = with_counters(
        counter("ports.in_use", scope, after=200, limit=201),
        requests=requests(failed=4000, failures={"bad_status": 4000}),
        cpu_cores_by_subject=OF_SERVICE,
    )

    assert found.code == ("connection-limited" if scope == "net:app" else "error-limited")
    assert ("let the app keep" in found.findings[0].advice) == (scope == "net:app")


@pytest.mark.parametrize(("opened", "code"), [(15, "connection-limited"), (4000, "error-limited")])
def test_an_app_without_ports_in_the_hosts_network_is_told_from_the_generator(opened, code):
    found = with_counters(
        counter("ports.in_use", "net:host", after=201, limit=201),
        requests=requests(failed=4000, failures={"bad_status": 4000}),
        connections=ConnectionCounts(opened=opened, closed_by_server=0),
        cpu_cores_by_subject=OF_SERVICE,
    )

    assert found.code == code
    assert ("let the app keep" in found.findings[0].advice) == (code == "connection-limited")


@pytest.mark.parametrize("scope", ["app", "nginx"])
@pytest.mark.parametrize("waited_s", [4.0, 0.4])
def test_a_quota_is_named_as_that_of_the_part_that_it_stopped(scope, waited_s):
    found = judged(throttling_by_subject={scope: ThrottlingShare(100, 90, waited_s)}, **QUEUED)

    code, part = {"app": ("app-quota-throttled", "app"), "nginx": ("proxy-cpu-limited", "proxy")}[scope]
    assert (found.code, found.confidence) == (code, "likely")
    assert f"throttled the {part} in 90 %" in found.findings[0].summary
    out = {it.code: it.why for it in found.ruled_out}
    assert out["app-concurrency-limited"] == f"the CPU limit of {scope} throttled it in 90 % of the periods"


def test_a_proxy_of_any_kind_is_called_the_proxy():
    found = with_counters(
        counter("threads.hottest_cores", "haproxy", after=0.98),
        cpu_cores_by_subject={**SHORT.cpu_cores_by_subject, **subjects(haproxy="proxy")},
    )
    idle = with_counters(
        counter("threads.hottest_cores", "haproxy", after=0.2),
        cpu_cores_by_subject={**SHORT.cpu_cores_by_subject, **subjects(haproxy="proxy")},
    )

    assert (found.code, "haproxy" in found.findings[0].summary) == ("proxy-cpu-limited", True)
    words = found.findings[0].advice + " ".join(it.why for it in idle.ruled_out)
    assert "the proxy" in words
    assert "nginx" not in words.lower()


@pytest.mark.parametrize(("waited_s", "is_hint"), [(3.0, False), (1.0, True)])
def test_requests_beside_a_quota_that_stops_seldom_may_wait_for_something_else(waited_s, is_hint):
    found = judged(throttling_by_subject={"app": ThrottlingShare(100, 60, waited_s)}, **QUEUED)

    assert found.code == "app-quota-throttled"
    assert ("app-concurrency-limited" in {it.code for it in found.findings}) == is_hint


BESIDE_OTHERS = cores(app=0.2, other=1.7, system=1.96)


@pytest.mark.parametrize(("waited_s", "is_host"), [(0.3, True), (4.5, False), (0.0, False)])
def test_a_thread_that_waited_longer_than_its_quota_demanded_waited_for_the_host(waited_s, is_host):
    """The thread was ready to run 98 % of 5 s; its quota stopped it for some of that."""
    found = with_counters(
        counter("threads.hottest_cores", after=0.2),
        counter("threads.runnable_share", after=0.98),
        cpu_cores=BESIDE_OTHERS,
        throttling_by_subject={"app": ThrottlingShare(100, 19, waited_s)},
    )

    assert ("host-cpu-limited" in {it.code for it in found.findings}) == is_host


@pytest.mark.parametrize(("throttled", "is_named"), [(29, False), (0, True)])
def test_nothing_is_said_of_idle_threads_of_a_part_that_its_quota_stopped_on_a_busy_host(throttled, is_named):
    found = with_counters(
        counter("threads.hottest_cores", after=0.02),
        counter("threads.runnable_share", after=0.2),
        cpu_cores=BESIDE_OTHERS,
        throttling_by_subject={"app": ThrottlingShare(100, throttled, 0.5)},
        **QUEUED,
    )

    assert ("app-concurrency-limited" in {it.code for it in found.findings}) == is_named
    assert "app-concurrency-limited" not in {it.code for it in found.ruled_out}


def test_threads_that_wait_for_their_quota_do_not_fill_the_host():
    found = with_counters(
        counter("threads.hottest_cores", after=0.2),
        counter("threads.runnable_share", after=0.98),
        counter("threads.waited_s", after=20.0),
        counter("threads.count", after=4),
        cpu_cores=BESIDE_OTHERS,
        throttling_by_subject={"app": ThrottlingShare(50, 50, 4.0)},
        **QUEUED,
    )

    assert [it.code for it in found.findings] == ["app-quota-throttled"]


@pytest.mark.parametrize(("working", "is_limit"), [(990, True), (300, False)])
def test_memory_full_of_files_that_are_not_needed_again_is_no_limit(working, is_limit):
    found = with_counters(
        counter("memory.limit_hits", "app", 0, 50),
        counter("memory.oom_kills", "app"),
        counter("memory.usage_bytes", after=1000, limit=1000),
        counter("memory.working_set_bytes", after=working, limit=1000),
        **QUEUED,
    )

    assert found.code == ("memory-limited" if is_limit else "app-concurrency-limited")
    assert is_limit or "with pages of files" in next(it.why for it in found.ruled_out)


def test_a_counter_is_shown_with_its_value_before_and_after():
    (item, *_) = with_counters(counter("tcp.listener_drops.80", "net:app", 3, 900)).findings[0].evidence

    assert (item.before, item.after, item.value) == (3, 900, 897)
    assert item.source


def test_a_stage_that_achieved_its_target_is_within_capacity_whatever_rose():
    found = with_counters(counter("tcp.listen_overflows", "net:app", 0, 900), achieved=1.0)

    assert (found.code, found.confidence) == ("within-capacity", "proven")


def test_counters_that_were_not_read_rule_nothing_out():
    codes = {each.code for each in judged(counters=()).ruled_out}

    assert not codes & {"connection-limited", "memory-limited", "proxy-cpu-limited"}


def test_results_without_counters_are_judged_by_their_other_values():
    old = stage(counters=(), unreadable=(), cpu_cores=cores(app=1.0, system=1.3))

    assert verdict(old, 2).code == "app-cpu-limited"


def test_a_service_that_was_killed_for_lack_of_memory_is_memory_limited():
    died = stage(
        status=StageStatus.FAILED,
        events=(StageEvent("out-of-memory", "app ran out of memory", None, ()),),
        validity=made.valid("invalid", "app ran out of memory"),
    )

    assert verdict(died, 2).code == "memory-limited"
