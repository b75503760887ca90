"""A limit of a service is found by its own numbers, names the service, and is not mistaken for the app's."""

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from runner.analyze.hypothesis import hypothesis
from runner.analyze.rules.parts import title
from runner.analyze.verdict import verdict
from runner.core.codes import Limit
from runner.core.measured import Latency, Requests
from runner.core.observed_results import (
    CounterReading,
    Moment,
    PeerUsage,
    ProgramUsage,
    SubjectUsage,
    ThrottlingShare,
    Usage,
)
from runner.report.limit_text import limit
from tests.analyze import stages as made

CORES = 2


def gauge(name, scope, value, limit=None):
    return CounterReading(scope, name, "count", "gauge", 0, value, value, limit, None)


def told(name, value, limit=None):
    """Return what the database tells of a number that did not change."""
    return CounterReading("db", name, "connections", "gauge", value, value, value, limit, None)


def rise(name, scope, value):
    return CounterReading(scope, name, "s", "counter", 0, value, None, None, value)


def may_write(scope, count, per_s):
    name = "io.limited.vda.writes"
    return CounterReading(scope, name, "writes", "counter", 0, count, None, per_s, count)


def cpu(**roles):
    return {role: Usage(used, None) for role, used in roles.items()}


def threads(scope, used, wanted=None):
    share = used if wanted is None else wanted
    return gauge("threads.hottest_cores", scope, used), gauge("threads.runnable_share", scope, share)


def peer(established, waiting, role="db", program="postgres", subject="app"):
    low, high = established if isinstance(established, tuple) else (established, established)
    return PeerUsage(
        subject, role, "127.0.0.1", 5432, program, 42, (low, (low + high) / 2, high), waiting, samples=12
    )


def queueing(in_flight):
    """Return the fields of a stage with so many requests in flight at its end."""
    series = tuple(Moment(float(t), None, None, in_flight=in_flight * t // 5) for t in range(1, 6))
    mean = sum(moment.in_flight for moment in series) / 5
    return {
        "timeseries": series,
        "requests": Requests(5000, 5000, 2500, 900, 0, {"timeout": 900}),
        "response_time_ms": Latency(mean=mean / 500 * 1000),
    }


BASE = made.stage(
    actual_rps=500.0,
    achieved=0.5,
    cpu_cores=cpu(app=0.3, db=0.2, generator=0.1, other=0.1, system=0.7),
    cpu_cores_by_subject={"app": SubjectUsage("app", None), "db": SubjectUsage("db", None)},
    **queueing(100),
)
THREE_PARTS = {name: SubjectUsage(name, None) for name in ("app", "bouncer", "db")}
IDLE = (*threads("app", 0.3), *threads("db", 0.1))


def judged(*counters, **changes):
    stage = replace(BASE, counters=counters or IDLE, **changes)
    return verdict(stage, CORES)


def found(result):
    return [(finding.code, finding.confidence, finding.service) for finding in result.findings]


def first(result):
    return found(result)[0]


REDIS_IN_STRANGERS = ProgramUsage("redis-server", (812,), 0.98, 0.98, serves=True, port=6379)
POSTGRES_IN_STRANGERS = ProgramUsage("postgres", (90, 91), 1.4, 0.3, serves=True, port=5432)
EATERS = tuple(ProgramUsage("eater", (pid,), 0.6, 0.6) for pid in (1, 2, 3))

CASES = {
    "a full thread of a service": (
        judged(
            *threads("app", 0.5), *threads("db", 0.98),
            cpu_cores=cpu(app=0.5, db=0.98, other=0.0, system=1.6), peers=(peer(10, 9.5),),
        ),
        ("service-limited", "likely", "db"),
    ),
    "a service that uses most of a full host": (
        judged(
            *threads("app", 0.3, 0.5), *threads("db", 0.2, 0.7),
            cpu_cores=cpu(app=0.3, db=1.4, generator=0.2, other=0.05, system=1.96), peers=(peer(10, 9.0),),
        ),
        ("service-limited", "likely", "db"),
    ),
    "a service that is stopped by its quota": (
        judged(throttling_by_subject={"db": ThrottlingShare(100, 80)}),
        ("service-limited", "likely", "db"),
    ),
    "a service that fills the only processor that it may use": (
        judged(
            *threads("app", 0.3), *threads("db", 0.3, 0.7), gauge("threads.allowed_cpus", "db", 1),
            cpu_cores=cpu(app=0.3, db=0.97, system=1.4),
        ),
        ("service-limited", "likely", "db"),
    ),
    "a system on one processor, most of it used by a service": (
        judged(
            *threads("app", 0.35, 0.9), *threads("db", 0.6, 0.9),
            gauge("threads.allowed_cpus", "db", 1), gauge("threads.allowed_cpus", "app", 1),
            cpu_cores=cpu(app=0.35, db=0.62, system=1.2),
        ),
        ("service-limited", "likely", "db"),
    ),
    "a full thread of a program outside that serves the app": (
        judged(
            *threads("app", 0.5), programs=(REDIS_IN_STRANGERS,),
            cpu_cores=cpu(app=0.5, other=1.0, system=1.6), peers=(peer(10, 9.0, "", "redis-server"),),
        ),
        ("service-limited", "likely", "redis-server"),
    ),
    "a program outside that serves the app and uses most of a full host": (
        judged(
            *threads("app", 0.3, 0.5), programs=(POSTGRES_IN_STRANGERS,),
            cpu_cores=cpu(app=0.3, generator=0.2, other=1.46, system=1.96),
        ),
        ("service-limited", "likely", "postgres"),
    ),
    "a pool of five": (
        judged(peers=(peer(5, 4.9),)),
        ("pool-limited", "likely", "db"),
    ),
    "a pool per replica": (
        judged(
            peers=(peer(5, 4.9), peer((4, 5), 4.4, subject="app-2")),
            cpu_cores_by_subject=BASE.cpu_cores_by_subject | {"app-2": SubjectUsage("app", None)},
        ),
        ("pool-limited", "likely", "db"),
    ),
    "a pool beside three busy strangers": (
        judged(
            *threads("app", 0.15, 0.3), *threads("db", 0.02, 0.1), peers=(peer(5, 4.9),), programs=EATERS,
            cpu_cores=cpu(app=0.15, db=0.02, other=1.8, system=2.0),
        ),
        ("pool-limited", "likely", "db"),
    ),
    "a semaphore in front of a service": (
        judged(peers=(peer(20, 4.0),)),
        ("app-concurrency-limited", "likely", UNSET),
    ),
    "a slow service behind a pool that grows": (
        judged(peers=(peer((20, 60), 39.0),)),
        ("app-concurrency-limited", "likely", "db"),
    ),
    "a semaphore beside three busy strangers": (
        judged(
            *threads("app", 0.16, 0.37), programs=EATERS,
            cpu_cores=cpu(app=0.16, other=1.8, system=2.0),
        ),
        ("app-concurrency-limited", "likely", UNSET),
    ),
    "strangers that take the app's processors": (
        judged(
            *threads("app", 0.6, 0.97), programs=EATERS, cpu_cores=cpu(app=0.6, other=1.3, system=2.0),
        ),
        ("host-cpu-limited", "likely", UNSET),
    ),
    "many threads that other programs keep from a processor": (
        judged(
            *threads("app", 0.02, 0.2), gauge("threads.count", "app", 100),
            rise("threads.waited_s", "app", 200),
            programs=EATERS, cpu_cores=cpu(app=0.7, other=1.2, system=2.0),
        ),
        ("host-cpu-limited", "likely", UNSET),
    ),
    "a semaphore in front of many threads beside three busy strangers": (
        judged(
            *threads("app", 0.1, 0.3), gauge("threads.count", "app", 20), rise("threads.waited_s", "app", 10),
            programs=EATERS, cpu_cores=cpu(app=0.4, other=1.5, system=2.0),
        ),
        ("app-concurrency-limited", "likely", UNSET),
    ),
    "a pooler with two connections to the database behind the app's thirty": (
        judged(
            *IDLE, peers=(peer(30, 30.0, "bouncer", "pgbouncer"), peer(2, 2.0, subject="bouncer")),
            cpu_cores_by_subject=THREE_PARTS,
        ),
        ("pool-limited", "likely", "db"),
    ),
    "the app's pool before a pooler with connections to spare": (
        judged(
            *IDLE, peers=(peer(5, 4.9, "bouncer", "pgbouncer"), peer(20, 4.8, subject="bouncer")),
            cpu_cores_by_subject=THREE_PARTS,
        ),
        ("pool-limited", "likely", "bouncer"),
    ),
    "a pool whose connections open transactions keep": (
        judged(*IDLE, gauge("titles.idle_in_transaction", "db", 4.9), peers=(peer(5, 0.0),)),
        ("pool-limited", "likely", "db"),
    ),
    "two workers of a service that accept no more": (
        judged(*IDLE, gauge("tcp.accept_queue.5432", "net:db", 36, 511), peers=(peer((2, 80), 40.0),)),
        ("app-concurrency-limited", "likely", "db"),
    ),
    "a service that waits for its disk": (
        judged(*IDLE, rise("io.blocked_s", "db", 4.5), rise("disk.vda.busy_s", "host", 4.8)),
        ("io-limited", "likely", "db"),
    ),
    "a row lock behind a pool, as the database tells": (
        judged(*IDLE, gauge("pg.lock_waits", "db", 3.9), peers=(peer(5, 4.9),)),
        ("app-concurrency-limited", "likely", "db"),
    ),
    "a row lock behind a pool, as the titles of the database's processes tell": (
        judged(*IDLE, gauge("titles.lock_waits", "db", 3.9), peers=(peer(5, 4.9),)),
        ("app-concurrency-limited", "likely", "db"),
    ),
    "a pool, as the database tells": (
        judged(*IDLE, told("pg.connections", 5, 97), told("pg.active", 4.9), told("pg.lock_waits", 0)),
        ("pool-limited", "likely", "db"),
    ),
    "a service whose waits are not measured and that keeps a disk busy": (
        judged(
            *IDLE, rise("io.written_bytes", "db", 8e8), rise("io.read_bytes", "db", 0),
            rise("disk.vda.busy_s", "host", 4.8), rise("disk.vda.written_bytes", "host", 1e9),
        ),
        ("io-limited", "likely", "db"),
    ),
    "a service whose threads are seen waiting for a disk that is hardly busy": (
        judged(
            *IDLE, rise("io.sampled_wait_s", "db", 4.4), rise("io.sampled_wait_s", "host", 4.6),
            rise("disk.vda.busy_s", "host", 0.6), peers=(peer(10, 9.8),),
        ),
        ("io-limited", "likely", "db"),
    ),
    "a service at the limit of writes of its control group": (
        judged(
            *IDLE, rise("io.sampled_wait_s", "db", 4.6), may_write("db", 210, 40),
            rise("disk.vda.busy_s", "host", 0.1), peers=(peer(10, 9.8),),
        ),
        ("io-limited", "likely", "db"),
    ),
    "threads of the app that run one at a time": (
        judged(
            *threads("app", 0.1), gauge("threads.count", "app", 20),
            gauge("threads.hottest_process_cores", "app", 0.98), cpu_cores=cpu(app=1.0, system=1.3),
        ),
        ("app-cpu-limited", "likely", UNSET),
    ),
    "threads that use one core by chance while they wait for a service": (
        judged(
            *threads("app", 0.1), gauge("threads.count", "app", 20),
            gauge("threads.hottest_process_cores", "app", 0.98), peers=(peer(5, 4.9),),
        ),
        ("pool-limited", "likely", "db"),
    ),
    "threads of the app that hardly run": (
        judged(
            *threads("app", 0.1), gauge("threads.count", "app", 20),
            gauge("threads.hottest_process_cores", "app", 0.7), cpu_cores=cpu(app=0.7, system=1.0),
        ),
        ("app-concurrency-limited", "likely", UNSET),
    ),
    "a service at its memory limit": (
        judged(
            *IDLE, rise("memory.limit_hits", "db", 50), gauge("memory.usage_bytes", "db", 990, limit=1000)
        ),
        ("memory-limited", "likely", "db"),
    ),
    "an app that waits for its disk": (
        judged(*IDLE, rise("io.wait_s", "app", 4.5), rise("psi.io.some_s", "host", 4.4)),
        ("io-limited", "likely", UNSET),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_first_finding_names_the_limit_and_the_service(case):
    result, expected = CASES[case]

    assert first(result) == expected
    assert result.findings[0].evidence
    assert result.findings[0].advice


@pytest.mark.parametrize("case", CASES)
def test_a_limit_that_was_found_is_not_ruled_out(case):
    result, _ = CASES[case]

    assert not {finding.code for finding in result.findings} & {ruled.code for ruled in result.ruled_out}
    assert all(finding.confidence != "proven" for finding in result.findings)


def test_a_host_that_a_service_fills_is_the_second_finding():
    result, _ = CASES["a service that uses most of a full host"]

    assert [finding.code for finding in result.findings][:2] == ["service-limited", "host-cpu-limited"]


@pytest.mark.parametrize("case", [name for name in CASES if "program outside" in name])
def test_a_program_that_serves_the_app_is_never_called_another_program(case):
    result, _ = CASES[case]

    texts = " ".join(f"{finding.summary} {finding.advice}" for finding in result.findings)
    assert "other programs" not in texts
    assert "(pid" in texts
    assert "topology.watch" in result.findings[0].advice


def test_a_full_thread_of_the_app_is_the_limit_although_a_service_uses_more_of_a_full_host():
    result = judged(
        *threads("app", 0.97), *threads("db", 0.3),
        cpu_cores=cpu(app=0.8, db=0.9, system=1.95),
    )  # fmt: skip

    assert first(result)[0] == "app-cpu-limited"


def test_an_app_that_uses_more_cpu_than_its_service_is_not_relieved_by_a_cheaper_service():
    result = judged(
        *threads("app", 0.4, 0.7), *threads("db", 0.3, 0.5),
        cpu_cores=cpu(app=1.1, db=0.6, system=1.95),
    )  # fmt: skip

    assert first(result)[0] == "host-cpu-limited"


def test_a_busy_service_for_which_no_request_waits_is_a_hint():
    result = judged(*threads("app", 0.98), *threads("db", 0.95), peers=(peer(10, 0.2),))

    assert found(result) == [("app-cpu-limited", "likely", UNSET), ("service-limited", "hint", "db")]


def test_a_service_that_strangers_keep_from_a_processor_is_a_hint_beside_the_full_host():
    used = cpu(app=0.2, db=0.5, other=1.3, system=2.0)
    result = judged(
        *threads("app", 0.2, 0.4), *threads("db", 0.5, 0.97), peers=(peer(10, 9.8),), programs=EATERS,
        cpu_cores=used,
    )  # fmt: skip

    assert found(result) == [("host-cpu-limited", "likely", UNSET), ("service-limited", "hint", "db")]
    disturbed = replace(BASE, verdict=result, cpu_cores=used)
    assert hypothesis(Limit.SERVICE, [disturbed]).answer == "open"


def test_a_host_that_a_service_fills_confirms_an_expectation_of_either():
    result, _ = CASES["a service that uses most of a full host"]
    stage = replace(BASE, verdict=result)

    answers = [hypothesis(limit, [stage]).answer for limit in (Limit.SERVICE, Limit.HOST_CPU, Limit.POOL)]
    assert answers == ["confirmed", "confirmed", "refuted"]


def test_a_service_and_an_app_that_are_both_full_are_both_named():
    result = judged(*threads("app", 0.93), *threads("db", 0.98), peers=(peer(10, 9.8),))

    assert [finding.code for finding in result.findings] == ["service-limited", "app-cpu-limited"]
    assert "the app's busiest thread was full as well" in result.findings[0].summary


def test_the_service_for_which_most_requests_wait_is_the_limit():
    result = judged(
        *threads("db", 0.97), *threads("cache", 0.97),
        cpu_cores_by_subject=BASE.cpu_cores_by_subject | {"cache": SubjectUsage("cache", None)},
        peers=(peer(10, 1.0), peer(5, 5.0, "cache", "redis-server")),
    )  # fmt: skip

    assert first(result) == ("service-limited", "likely", "cache")


def test_a_quota_of_a_service_is_not_one_of_the_app():
    result = judged(throttling_by_subject={"db": ThrottlingShare(100, 80)})

    assert "app-quota-throttled" not in {finding.code for finding in result.findings}


@pytest.mark.parametrize(
    ("peers", "in_flight"),
    [
        pytest.param((peer(5, 2.0),), 100, id="connections that are often free"),
        pytest.param((peer((2, 9), 5.4),), 100, id="a number that changes"),
        pytest.param((replace(peer(5, 4.9), opened=80),), 100, id="connections that are opened all the time"),
        pytest.param((peer(50, 49.0),), 60, id="hardly more requests than connections"),
        pytest.param((replace(peer(5, 4.9), samples=1),), 100, id="too few samples"),
        pytest.param((peer(5, 4.9, role="app", subject="nginx"),), 100, id="connections of a proxy"),
    ],
)  # fmt: skip
def test_no_pool_is_blamed_for(peers, in_flight):
    result = judged(peers=peers, **queueing(in_flight))

    assert "pool-limited" not in {finding.code for finding in result.findings}


def test_a_pool_in_front_of_a_busy_service_is_not_the_limit():
    result = judged(*threads("db", 0.99), peers=(peer(1, 1.0),))

    assert first(result) == ("service-limited", "likely", "db")
    assert "pool-limited" in {ruled.code for ruled in result.ruled_out}


def test_connections_that_waited_name_the_service_also_without_a_constant_pool():
    result, _ = CASES["a slow service behind a pool that grows"]

    assert "39.0 of 40.0 connections to db waited" in result.findings[0].summary
    assert "requests in flight to db" in {item.name for item in result.findings[0].evidence}


def test_locks_that_the_database_tells_of_are_in_the_finding():
    result, _ = CASES["a row lock behind a pool, as the database tells"]

    assert "3.9 of them for locks" in result.findings[0].summary
    assert "connections of db that waited for locks" in {item.name for item in result.findings[0].evidence}
    whys = {ruled.code: ruled.why for ruled in result.ruled_out}
    assert "locks" in whys["pool-limited"]
    assert result.findings[0].advice.startswith("find what holds the locks in db")


def test_a_pool_between_two_services_is_the_holders():
    result, _ = CASES["a pooler with two connections to the database behind the app's thirty"]
    finding = result.findings[0]

    assert finding.summary.startswith("bouncer had 2 connections to db all the time")
    assert "30 requests were in flight in bouncer" in finding.summary
    assert finding.advice.startswith("enlarge bouncer's pool of connections to db")
    assert (finding.evidence[0].name, finding.evidence[0].value) == ("connections from bouncer to db", 2.0)


def test_transactions_that_are_left_open_are_named():
    finding = CASES["a pool whose connections open transactions keep"][0].findings[0]

    assert "kept a transaction open on 4.9 of them while it did something else" in finding.summary
    assert finding.advice.startswith("end the transaction on db before")
    assert "connections to db idle in transaction" in {item.name for item in finding.evidence}


def test_connections_that_a_service_does_not_accept_show_that_its_workers_are_busy():
    result, _ = CASES["two workers of a service that accept no more"]
    without, _ = CASES["a slow service behind a pool that grows"]

    assert "36 connections waited for db to accept them" in result.findings[0].summary
    assert result.findings[0].advice.startswith("give db more workers or threads")
    assert "accept" not in without.findings[0].summary


def test_errors_beside_a_database_without_room_for_connections_name_it():
    failing = Requests(5000, 5000, 2500, 2500, 0, {"bad_status": 2500}, {"500": 2500})
    result = judged(*IDLE, told("pg.connections", 97, 97), requests=failing)

    assert first(result)[::2] == ("error-limited", "db")
    assert "as many connections as it may have" in result.findings[0].advice


def test_a_busy_disk_for_which_no_part_waited_is_not_the_limit():
    result = judged(*IDLE, rise("io.blocked_s", "db", 0.1), rise("disk.vda.busy_s", "host", 5.0))

    assert first(result)[0] == "app-concurrency-limited"
    assert "io-limited" in {ruled.code for ruled in result.ruled_out}


def test_a_limit_of_io_that_is_used_up_is_named_with_what_was_done():
    result, _ = CASES["a service at the limit of writes of its control group"]

    assert "db did 42 writes/s to device vda, where its control group may do no more than 40 writes/s" in (
        result.findings[0].summary
    )
    assert "raise the limit of I/O" in result.findings[0].advice


def test_a_limit_of_io_that_nothing_waits_for_is_not_the_limit():
    waits = (rise("io.sampled_wait_s", "db", 0.2), rise("io.sampled_wait_s", "host", 0.2))
    result = judged(*IDLE, *waits, may_write("db", 210, 40))

    assert "io-limited" in {ruled.code for ruled in result.ruled_out}


def test_a_device_that_is_busy_for_a_service_that_is_never_seen_waiting_is_a_hint():
    moved = (rise("io.written_bytes", "db", 8e8), rise("disk.vda.written_bytes", "host", 1e9))
    busy = rise("disk.vda.busy_s", "host", 4.8)
    result = judged(*IDLE, *moved, busy, rise("io.sampled_wait_s", "db", 0.0))

    assert ("io-limited", "hint", "db") in found(result)


def test_a_disk_that_is_busy_for_others_is_not_the_limit_where_waits_are_not_measured():
    written = (rise("io.written_bytes", "db", 1e8), rise("disk.vda.written_bytes", "host", 1e9))
    result = judged(*IDLE, rise("disk.vda.busy_s", "host", 5.0), *written)

    assert first(result)[0] == "app-concurrency-limited"
    assert "io-limited" in {ruled.code for ruled in result.ruled_out}


def test_a_part_that_waited_for_a_disk_that_was_not_busy_is_a_hint():
    result = judged(*IDLE, rise("io.blocked_s", "db", 4.5), rise("disk.vda.busy_s", "host", 1.0))

    assert ("io-limited", "hint", "db") in found(result)


def test_nothing_is_said_about_disks_and_services_that_were_not_observed():
    alone = {"app": SubjectUsage("app", None)}
    result = judged(
        *threads("app", 0.3), rise("disk.vda.busy_s", "host", 5.0),
        cpu_cores=cpu(app=0.3, system=0.7), cpu_cores_by_subject=alone,
    )  # fmt: skip

    known = {each.code for each in (*result.findings, *result.ruled_out)}
    assert not known & {"service-limited", "pool-limited", "io-limited"}


@pytest.mark.parametrize("limit", [Limit.SERVICE, Limit.POOL, Limit.IO])
def test_a_hypothesis_can_name_a_limit_outside_the_app(limit):
    case = next(result for result, expected in CASES.values() if expected[0] == limit)
    answer = hypothesis(limit, [replace(BASE, verdict=case)])

    assert answer.answer == "confirmed"


@pytest.mark.parametrize(
    ("case", "begins"),
    [
        ("a service that uses most of a full host", "The service db used 1.40 cores"),
        ("a service that fills the only processor that it may use", "The service db used 0.97 of the"),
        ("a program outside that serves the app and uses most of a full host", "The program postgres (pids"),
    ],
)
def test_a_sentence_that_begins_with_a_name_keeps_its_spelling(case, begins):
    verdict, _ = CASES[case]

    assert f". {begins}" in limit(replace(BASE, verdict=verdict))


def test_a_sentence_about_a_subject_says_what_it_is():
    roles = {"app-1": "app", "app": "app", "nginx": "proxy", "db-2": "db"}
    stage = replace(
        BASE, cpu_cores_by_subject={name: SubjectUsage(role, None) for name, role in roles.items()}
    )

    assert [title(stage, name) for name in roles] == [
        "the replica app-1", "the app", "the proxy", "the service db-2"
    ]  # fmt: skip
