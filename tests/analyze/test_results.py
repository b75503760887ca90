import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import to_builtins
from msgspec.structs import replace

from runner.core import histogram
from runner.core.codes import DoubtCode, Validity
from runner.core.facts import Event, TrialFacts
from runner.core.judgements import ThresholdResult
from runner.core.load_facts import (
    FAILURE_KINDS,
    ConnectionCounts,
    DropCauses,
    LoadFacts,
    LoadSecond,
    ResponseSample,
)
from runner.core.measured import Latency
from runner.core.metrics import METRICS
from runner.core.observed_facts import Counter, ObservedFacts, Sample, Throttling
from runner.core.observed_results import ThrottlingShare, Usage
from runner.core.results import Results
from runner.core.stage_results import Stage
from runner.report.markdown import render_markdown
from runner.store.results_file import encode_results
from tests.analyze.facts import (
    BUSY,
    DIED,
    HEALTHY,
    OVERLOADED,
    SPEC,
    SUBJECTS,
    load,
    observed,
    results_of,
    stages_of,
    trial,
)


def test_the_documented_keys_exist():
    found = to_builtins(results_of(HEALTHY, BUSY, OVERLOADED))
    stage = found["configurations"][0]["stages"][0]

    assert found["schema_version"] == 1
    assert found["experiment"].keys() >= {"name", "title", "spec_sha256"}
    assert found["configurations"][0].keys() >= {"name", "topology", "engine", "stages"}
    assert stage.keys() >= {
        "name", "target_rps", "window_s", "repeat", "requests", "actual_rps", "achieved", "duration_ms",
        "response_time_ms", "connect_ms", "dispatch_delay_ms", "cpu_cores", "memory_mib", "timeseries",
        "validity", "verdict", "thresholds",
    }  # fmt: skip
    assert stage["duration_ms"].keys() == {"mean", "p50", "p90", "p95", "p99", "p999", "max"}
    assert stage["timeseries"][0].keys() >= {"t_s", "rps", "p95_ms", "cpu_app", "cpu_system"}


def test_actual_rps_counts_responses_in_the_window_only():
    late = replace(load(100, 100, 2.0), seconds=(*load(100, 90, 2.0).seconds, LoadSecond(4, completed=40)))
    (stage, *_) = stages_of(replace(HEALTHY, load=late))

    assert stage.actual_rps == 90
    assert stage.achieved == 0.9


def test_the_cpu_time_per_response_is_that_of_the_responses_in_the_window():
    """Of an overloaded service, most of them were due before; the CPU was used for these."""
    seconds = [replace(one, succeeded=10, dropped=90, completed=50) for one in load(100, 100, 2.0).seconds]
    overloaded = replace(HEALTHY, load=replace(load(100, 100, 2.0), seconds=tuple(seconds)))
    (stage, *_) = stages_of(replace(overloaded, observed=observed(0.25)))

    assert stage.requests.succeeded == 40
    assert stage.cpu_us_per_request["app"] == pytest.approx(0.25 / 50 * 1e6)


def test_a_stage_that_was_not_run_has_that_status_and_no_values():
    stage = stages_of(HEALTHY)[2]

    assert stage.status == "not-run"
    assert stage.actual_rps is None
    assert stage.duration_ms == Latency()
    assert stage.cpu_cores["app"] is None


def test_unobserved_cpu_is_none_and_never_zero():
    facts = observed(0.5)
    unwatched = ObservedFacts(
        tuple(subject for subject in SUBJECTS if subject.name != "app"),
        tuple(
            Sample(s.t_s, {k: v for k, v in s.cpu_s.items() if k != "app"}, s.rss_bytes)
            for s in facts.samples
        ),
    )
    (stage, *_) = stages_of(replace(HEALTHY, observed=unwatched))

    assert stage.cpu_cores["app"] is None
    assert stage.cpu_us_per_request["app"] is None
    assert stage.timeseries[0].cpu_app is None


def test_roles_and_other_add_up_to_the_host():
    (stage, *_) = stages_of(HEALTHY)
    cores = {role: usage.avg for role, usage in stage.cpu_cores.items() if usage}

    assert sum(value for role, value in cores.items() if role != "system") == pytest.approx(
        cores["system"], rel=0.001
    )


def test_a_peak_is_the_highest_average_over_the_peak_window():
    burst = [(0.0, 0.0), (1.0, 0.1), (2.0, 1.0), (3.0, 1.1), (4.0, 1.2)]
    facts = ObservedFacts(SUBJECTS[:1], tuple(Sample(t, {"app": used}, {}) for t, used in burst))
    (stage, *_) = stages_of(replace(HEALTHY, observed=facts))

    assert stage.cpu_cores["app"] == Usage(0.3, 0.9)


def test_every_metric_that_a_threshold_may_name_can_be_evaluated():
    (stage, *_) = stages_of(HEALTHY)
    unmeasured = ("proxy", "forwarder", "daemon")

    values = {name: one.read(stage) for name, one in METRICS.items() if not one.scenarios_only}

    missing = {name for name, value in values.items() if value is None}
    assert all(
        name.startswith(("memory.system", "tls.")) or name == "cpu.other.peak" or "memory.other" in name
        or any(role in name for role in unmeasured)
        for name in missing
    )  # fmt: skip


@pytest.mark.parametrize(
    ("threshold", "code"),
    [
        ("duration.p95 < 50ms", "within-capacity"),
        ("duration.p95 < 1ms", "app-cpu-limited"),  # it is missed because of the CPU
        ("memory.app.peak < 1MiB", "within-capacity"),  # and this for another reason
    ],
)
def test_a_stage_that_is_too_slow_for_a_threshold_has_reached_the_limit_that_shows(threshold, code):
    before, _, _ = SPEC.partition(b"thresholds:")
    busy = trial(0, "100 RPS", 100, 100, 2.0, 0.97)

    first, *_ = stages_of(busy, spec=before + f"thresholds: [{threshold}]".encode())

    assert first.verdict.code == code


def test_a_threshold_on_an_unmeasured_metric_fails_without_a_value():
    spec = b"""
version: 1
name: shop
topology: {kind: external, url: "http://127.0.0.1:1"}
stages: [{rps: 100, duration: 4s}]
thresholds: [cpu.proxy.avg < 1]
"""
    (stage,) = stages_of(HEALTHY, spec=spec)

    assert stage.thresholds == (ThresholdResult("cpu.proxy.avg < 1", False, None),)


@pytest.mark.parametrize(
    ("facts", "status", "words"),
    [
        (HEALTHY, "valid", ""),
        (OVERLOADED, "valid", ""),
        (replace(HEALTHY, observed=observed(0.1, generator=0.85)), "suspect", "85 %"),
        (DIED, "invalid", "SIGSEGV"),
        (replace(HEALTHY, load=load(100, 100, 2.0, lost_workers=("worker 1 died",))), "invalid", "worker 1"),
        (replace(HEALTHY, load=load(100, 100, 2.0, planned=401)), "invalid", "planned"),
        (replace(HEALTHY, status="aborted"), "suspect", "aborted"),
    ],
    ids=[
        "healthy",
        "slow system",
        "generator saturated",
        "app died",
        "worker lost",
        "count missing",
        "aborted",
    ],
)
def test_the_validity_of_a_stage_follows_from_its_facts(facts, status, words):
    stage = next(stage for stage in stages_of(facts) if stage.status != "not-run")

    assert stage.validity.status == status
    assert words in " ".join(stage.validity.reasons)


def late(due_to_slots: bool):
    delay = histogram.of([3_000_000] * 100)
    response = histogram.of([(40_000_000 if due_to_slots else 5_000_000)] * 100)
    seconds = tuple(
        replace(second, dispatch_delay=delay, response_time=response)
        for second in load(100, 100, 2.0).seconds
    )
    return replace(HEALTHY, load=replace(load(100, 100, 2.0), seconds=seconds))


def test_a_generator_whose_lateness_explains_the_latency_is_suspect():
    (stage, *_) = stages_of(late(due_to_slots=False))

    assert stage.validity.status == "suspect"
    assert "late" in stage.validity.reasons[0]


def behind(causes: DropCauses, own_ms: float):
    """A stage in which a tenth was dropped, so that there is no p95."""
    facts = load(100, 90, 2000.0, drops=causes)
    own = histogram.of([round(own_ms * 1e6)] * 100)
    seconds = tuple(replace(second, lateness=own) for second in facts.seconds)
    (stage, *_) = stages_of(replace(HEALTHY, load=replace(facts, seconds=seconds)))
    assert stage.response_time_ms.p95 is None
    return stage.validity


def test_requests_that_the_generator_was_too_late_for_make_a_stage_invalid():
    validity = behind(DropCauses(too_late=40), own_ms=6600)

    assert validity.status == "invalid"
    assert validity.reasons == ("40 requests were never sent because the generator fell behind its schedule",)


def test_lateness_counts_where_so_many_were_dropped_that_there_is_no_p95():
    validity = behind(DropCauses(), own_ms=600)

    assert validity.status == "suspect"
    (reason,) = validity.reasons
    assert reason.startswith(
        "the generator was 600.00 ms late at p95, which is 30 % of the mean response time"
    )


def test_a_slow_service_that_holds_every_slot_leaves_the_stage_valid():
    assert behind(DropCauses(), own_ms=5).status == "valid"


@pytest.mark.parametrize(
    ("own_ms", "status", "reasons"),
    [
        (0.2, "valid", ()),
        (
            3,
            "suspect",
            (
                (
                    "the generator was 3.00 ms late at p95, which is 60 % of the p95 response time of 5.00 "
                    "ms; other programs used 1.27 of the 1.50 cores that the host used"
                ),
            ),
        ),
    ],
)
def test_a_wait_for_a_free_slot_is_not_the_generators_lateness(own_ms, status, reasons):
    facts = late(due_to_slots=False)
    own = histogram.of([round(own_ms * 1e6)] * 100)
    seconds = tuple(replace(second, lateness=own) for second in facts.load.seconds)
    (stage, *_) = stages_of(replace(facts, load=replace(facts.load, seconds=seconds)))

    assert stage.dispatch_delay_ms.p95 == pytest.approx(3, rel=0.01)
    assert (stage.validity.status, stage.validity.reasons) == (status, reasons)


@pytest.mark.parametrize(
    ("facts", "code"),
    [(HEALTHY, "within-capacity"), (OVERLOADED, "app-cpu-limited")],
)
def test_the_verdict_names_the_limit(facts, code):
    stage = next(stage for stage in stages_of(facts) if stage.status != "not-run")

    assert stage.verdict.code == code
    assert stage.verdict.findings[0].evidence


def test_a_limit_that_no_counter_shows_is_undetermined():
    facts = replace(OVERLOADED, observed=observed(0.3, system=0.6))
    stage = stages_of(facts)[2]

    assert (stage.verdict.code, stage.verdict.confidence) == ("undetermined", "hint")


def test_a_host_without_idle_cpu_is_likely_the_limit():
    stage = stages_of(replace(OVERLOADED, observed=observed(0.3, system=3.95)))[2]

    assert (stage.verdict.code, stage.verdict.confidence) == ("host-cpu-limited", "likely")


def test_many_refused_requests_are_the_limit():
    seconds = tuple(
        replace(each, succeeded=20, completed=20, failures={"bad_status": 80})
        for each in HEALTHY.load.seconds
    )
    (stage, *_) = stages_of(replace(HEALTHY, load=replace(HEALTHY.load, seconds=seconds)))

    assert stage.verdict.code == "error-limited"
    assert "320 of 400" in stage.verdict.findings[0].summary


@pytest.mark.parametrize(
    ("kind", "advice"),
    [("bad_status", "check the request"), ("closed_early", "raise its keep-alive timeout")],
)
def test_the_advice_fits_how_requests_failed(kind, advice):
    seconds = tuple(
        replace(second, succeeded=20, completed=20, failures={kind: 80}) for second in HEALTHY.load.seconds
    )
    (stage, *_) = stages_of(replace(HEALTHY, load=replace(HEALTHY.load, seconds=seconds)))

    assert advice in stage.verdict.findings[0].advice


def refused(statuses: dict[int, int], *samples: ResponseSample, app_output: tuple[str, ...] = ()) -> Stage:
    """The stage of a second in which no request succeeded."""
    failed = sum(statuses.values())
    failures = {"bad_status": failed}
    second = LoadSecond(
        0, failed, failed, failures=failures, statuses=dict(statuses), samples=(*samples, *samples)
    )
    offered = replace(HEALTHY.load, planned=failed, seconds=(second,))
    facts = replace(HEALTHY, load=offered, app_output=app_output)
    return stages_of(facts)[0]


REDIRECT = ResponseSample("bad_status", 302, (("location", "/login"),), "moved")


def test_statuses_are_in_the_results_and_the_most_frequent_one_decides_the_advice():
    stage = refused({302: 80, 0: 5, 500: 15}, REDIRECT, app_output=("a line", "another"))

    assert stage.requests.statuses == {"other": 5, "302": 80, "500": 15}
    assert stage.samples == (REDIRECT,)
    (finding, *_) = stage.verdict.findings
    assert finding.summary.endswith("most often with status 302, and 15 with status 500")
    assert "redirects are not followed" in finding.advice
    assert finding.advice.endswith("(Location: /login)")
    assert [item.name for item in finding.evidence] == [
        "bad_status", "status 302", "status 500", "status other"
    ]  # fmt: skip


def test_without_refused_responses_the_results_have_neither_statuses_nor_samples():
    encoded = msgspec.json.decode(encode_results(results_of(HEALTHY)))

    stage = encoded["configurations"][0]["stages"][0]
    assert "statuses" not in stage["requests"]
    assert {"samples", "app_output"}.isdisjoint(stage)


def test_the_advice_quotes_the_proxys_error_log_where_the_proxy_may_have_refused_requests():
    full = "64 worker_connections are not enough"

    def advice(failures, **statuses):
        offered = load(100, 60, 2.0, 4)
        changes = {"dropped": 0, "sent": 100, "failures": failures, **statuses}
        seconds = [replace(second, **changes) for second in offered.seconds]
        facts = replace(HEALTHY, load=replace(offered, seconds=tuple(seconds)), proxy_errors=("older", full))
        return stages_of(facts)[0].verdict.findings[0].advice

    assert advice({"reset": 40}).endswith(f"; the proxy's error log ends with: {full}")
    assert full in advice({"bad_status": 40}, statuses={502: 40})
    assert full not in advice({"bad_status": 40}, statuses={404: 40})


def test_the_advice_for_a_server_error_quotes_the_last_line_of_the_app():
    advice = refused({500: 100}, app_output=("a line", "database is locked")).verdict.findings[0].advice

    assert advice == "read the service's log for these requests; the app's last output: database is locked"


def test_connections_are_part_of_the_results_where_they_were_counted():
    counts = ConnectionCounts(opened=12, closed_by_server=3)
    (stage, *_) = stages_of(replace(HEALTHY, load=replace(HEALTHY.load, connections=counts)))
    (other, *_) = stages_of(HEALTHY)

    assert (stage.connections, other.connections) == (counts, None)


@pytest.mark.parametrize(("unasked", "times"), [(0, None), (1, "once"), (1_200, "1,200 times")])
def test_a_stage_whose_responses_may_belong_to_other_requests_is_suspect(unasked, times):
    counts = ConnectionCounts(opened=12, closed_by_server=3, unasked=unasked)
    (stage, *_) = stages_of(replace(HEALTHY, load=replace(HEALTHY.load, connections=counts)))

    doubts = [doubt.code for doubt in stage.validity.doubts]
    assert (doubts == [DoubtCode.OUT_OF_STEP], stage.validity.status is Validity.SUSPECT) == (
        bool(times),
    ) * 2
    assert not times or f"second response ({times};" in stage.validity.reasons[0]


small = st.integers(0, 5)
latency = st.lists(st.integers(0, 10**11), max_size=4).map(histogram.of)
second_facts = st.builds(
    LoadSecond,
    index=st.integers(-2, 8),
    scheduled=small,
    sent=small,
    succeeded=small,
    dropped=small,
    failures=st.dictionaries(st.sampled_from(FAILURE_KINDS), small),
    completed=small,
    in_flight=small,
    duration=latency,
    response_time=latency,
    connect=latency,
    dispatch_delay=latency,
    first_byte=latency,
    statuses=st.dictionaries(st.integers(0, 999), small),
    samples=st.lists(
        st.builds(
            ResponseSample,
            st.sampled_from(FAILURE_KINDS),
            st.integers(0, 999),
            st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=2).map(tuple),
            st.text(max_size=5),
        ),
        max_size=3,
    ).map(tuple),
)
load_facts = st.builds(
    LoadFacts,
    engine=st.sampled_from(["builtin", "k6"]),
    workers=small,
    planned=small,
    seconds=st.lists(second_facts, max_size=4).map(tuple),
    complete=st.booleans(),
    clock=st.text(max_size=5),
    lost_workers=st.lists(st.text(max_size=5), max_size=2).map(tuple),
    stated_ms=st.none() | st.just({"duration": {"mean": 1.0, "p95": None}, "response_time": None}),
)
names = st.sampled_from([subject.name for subject in SUBJECTS])
moment = st.floats(-2, 10, allow_nan=False)
used = st.floats(0, 1e5, allow_nan=False)
sample = st.builds(
    Sample, moment, st.dictionaries(names, used), st.dictionaries(names, st.integers(0, 2**40))
)
observed_facts = st.builds(
    ObservedFacts,
    subjects=st.lists(st.sampled_from(SUBJECTS), unique=True).map(tuple),
    samples=st.lists(sample, max_size=6).map(lambda all_: tuple(sorted(all_, key=lambda each: each.t_s))),
)
trial_facts = st.builds(
    TrialFacts,
    configuration=st.just("shop"),
    stage=st.text(max_size=5),
    repeat=st.just(1),
    order=st.integers(0, 3),
    started_at=st.just("2026-01-02T03:04:06+00:00"),
    target_rps=st.just(100.0),
    warmup_s=st.just(0.0),
    window_s=st.just(4.0),
    status=st.sampled_from(["complete", "failed", "aborted"]),
    load=st.none() | load_facts,
    observed=st.none() | observed_facts,
    events=st.lists(
        st.builds(
            Event,
            code=st.sampled_from(["app-died", "aborted"]),
            message=st.text(max_size=20),
            t_s=st.none() | moment,
        ),
        max_size=2,
    ).map(tuple),
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(trial_facts, max_size=3))
def test_any_facts_become_results_and_a_report(trials):
    found = results_of(*trials)

    again = msgspec.json.decode(encode_results(found), type=Results)
    assert again == found
    assert render_markdown(found) == render_markdown(again)


@given(st.lists(second_facts, max_size=5))
def test_no_request_is_lost_between_facts_and_results(seconds):
    facts = replace(HEALTHY, load=replace(HEALTHY.load, seconds=tuple(seconds)))
    requests = stages_of(facts)[0].requests

    assert requests.scheduled == sum(each.scheduled for each in seconds)
    assert requests.failed == sum(sum(each.failures.values()) for each in seconds)
    assert requests.dropped == sum(each.dropped for each in seconds)


def test_roles_that_used_more_cpu_than_the_host_are_doubtful():
    (stage, *_) = stages_of(replace(HEALTHY, observed=observed(1.2, system=1.0)))

    assert stage.validity.status == "suspect"
    assert "doubtful" in stage.validity.reasons[0]


def test_doubt_about_cpu_names_what_the_hypervisor_took():
    stolen = Counter("host", "cpu.steal_s", "s", "counter", before=1.0, after=2.0)
    seen = observed(1.2, system=1.0)
    (stage, *_) = stages_of(replace(HEALTHY, observed=replace(seen, counters=(stolen,))))

    assert "the hypervisor took 0.25 cores" in stage.validity.reasons[0]
    (stage, *_) = stages_of(replace(HEALTHY, observed=seen))
    assert "hypervisor" not in stage.validity.reasons[0]


def test_throttling_counts_only_periods_of_the_window():
    samples = tuple(
        replace(sample, throttling={"app": Throttling(10 + n, 5 + n // 2, n / 10)})
        for n, sample in enumerate(HEALTHY.observed.samples)
    )
    (stage, *_) = stages_of(replace(HEALTHY, observed=replace(HEALTHY.observed, samples=samples)))

    assert stage.throttling_by_subject == {"app": ThrottlingShare(20, 10, 2.0)}
    assert "throttled CPU periods" in render_markdown(
        results_of(replace(HEALTHY, observed=replace(HEALTHY.observed, samples=samples)))
    )


@pytest.mark.parametrize(("share", "code"), [(0.6, "app-quota-throttled"), (0.2, "undetermined")])
def test_a_cpu_limit_that_often_throttles_the_app_is_the_likely_limit(share, code):
    seen = observed(0.2, system=0.6)
    samples = tuple(
        replace(sample, throttling={"app": Throttling(10 * n, round(10 * n * share), n / 10)})
        for n, sample in enumerate(seen.samples)
    )
    stage = stages_of(replace(OVERLOADED, observed=replace(seen, samples=samples)))[2]

    assert stage.verdict.code == code


def test_stages_are_in_the_specifications_order_however_they_were_shuffled():
    names = [f"{rps:,} RPS" for rps in (500, 100, 4000)]
    spec = (
        SPEC.split(b"stages:")[0]
        + b"""stages: [{rps: 500, duration: 1s}, {rps: 100, duration: 1s}, {rps: 4000, duration: 1s}]
repeats: 3
configurations: [{name: b}, {name: a}, {name: c}]
"""
    )
    found = results_of(spec=spec).configurations

    assert [each.name for each in found] == ["b", "a", "c"]
    for each in found:
        told = [(stage.name, stage.repeat) for stage in each.stages]
        assert told == [(name, repeat) for name in names for repeat in (1, 2, 3)]
    assert [stage.order for each in found for stage in each.stages] != list(range(27))


def test_the_rates_of_an_aborted_stage_are_those_until_its_end():
    seconds = HEALTHY.load.seconds[:2]
    aborted = replace(
        HEALTHY, status="aborted", load=replace(HEALTHY.load, seconds=seconds, backlog=None, complete=False)
    )
    (cut,) = stages_of(aborted)[:1]
    (whole,) = stages_of(HEALTHY)[:1]

    assert (cut.window_s, whole.window_s) == (2, 4)
    assert cut.actual_rps == whole.actual_rps == 100
    assert cut.achieved == 1
