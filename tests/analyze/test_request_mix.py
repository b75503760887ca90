"""What is concluded of each request of a mix: its numbers, its thresholds, and searches with selectors."""

from __future__ import annotations

from msgspec.structs import replace

from runner.analyze.results import upcoming
from runner.core.codes import Unbounded
from runner.core.facts import TrialFacts
from runner.core.load_results import RequestShare
from runner.core.metrics import METRICS
from tests.analyze.facts import RUN, results_of, stages_of
from tests.analyze.mixed_facts import SPEC, Offered, mixed_trial
from tests.analyze.searches import planned

FAST, SLOW = Offered(75, 75, 2.0), Offered(25, 25, 8.0)
LOSSY = Offered(25, 20, 2.0)
SEARCH = SPEC.replace(
    b"  - {rps: 100, duration: 4s}\n",
    b"  - {find: {max_rps: 4000, min_rps: 100, until: [UNTIL]}, duration: 4s}\n",
)


def stage(search: Offered = FAST, order: Offered = SLOW):
    (found,) = stages_of(mixed_trial(search=search, order=order), spec=SPEC)
    return found


def searched(until: bytes, offered) -> object:
    """Return the capacity found by a search; `offered` gives both requests of the mix at a rate."""
    spec = SEARCH.replace(b"UNTIL", until)
    facts: dict[int, TrialFacts] = {}
    for each in planned(spec):
        while (probe := upcoming(each, facts, RUN)) is not None:
            rps = round(probe.stage.rps)
            made = mixed_trial(probe.order, probe.stage.name, **offered(rps))
            facts[probe.order] = replace(made, target_rps=probe.stage.rps)
    (entry,) = results_of(*facts.values(), spec=spec).configurations[0].capacity
    return entry


def test_each_request_has_its_own_numbers_and_they_add_up_to_those_of_the_stage():
    found = stage()

    search, order = found.part("search"), found.part("order")
    assert (search.target_rps, order.target_rps) == (75, 25)
    assert (search.actual_rps, order.actual_rps) == (75, 25)
    assert search.requests.scheduled + order.requests.scheduled == found.requests.scheduled == 400
    assert 2.5 < search.duration_ms.p95 < 3.0
    assert 10 < order.duration_ms.p95 < 12
    assert (found.cpu_cores["app"].avg, order.cpu_cores) == (0.2, {})


def test_every_metric_of_a_request_is_read_from_its_part_and_cpu_usage_from_none():
    part = stage().parts["order"]

    known = {path for path, metric in METRICS.items() if metric.read(part) is not None}

    assert {"duration.p95", "response_time.p99", "actual_rps", "achieved", "errors", "dropped"} <= known
    assert known <= {path for path, metric in METRICS.items() if metric.per_request}


def test_the_requests_of_a_mix_are_in_the_summary_of_the_load_with_their_shares():
    (configuration,) = results_of(mixed_trial(search=FAST, order=SLOW), spec=SPEC).configurations

    assert configuration.load.request is None
    assert configuration.load.requests == (
        RequestShare("search", "GET", "/search", 0.75),
        RequestShare("order", "POST", "/orders", 0.25),
    )


def test_a_threshold_with_a_selector_is_about_that_request_alone():
    results = {check.expr: check for check in stage().thresholds}

    assert results["duration{request=search}.p95 < 4ms"].ok
    slow = results["duration{request=order}.p95 < 4ms"]
    assert (slow.ok, slow.request) == (False, "order")
    assert 10 < slow.value < 12
    assert results["errors{request=order} < 1%"].ok
    assert not results["achieved >= 99%"].request


def test_losses_of_one_request_do_not_count_as_those_of_another():
    found = stage(order=LOSSY)

    errors = next(check for check in found.thresholds if check.expr.startswith("errors"))
    p95 = next(check for check in found.thresholds if check.expr == "duration{request=order}.p95 < 4ms")
    assert (errors.ok, errors.value) == (False, 0.2)
    assert (p95.ok, p95.value, p95.unbounded) == (False, None, Unbounded.LOST)
    assert next(check for check in found.thresholds if "search" in check.expr).ok


def test_a_request_that_was_never_due_is_not_measured_and_fails_its_threshold():
    (found,) = stages_of(mixed_trial(search=FAST), spec=SPEC)

    check = next(check for check in found.thresholds if "order" in check.expr)
    assert (check.ok, check.value, check.request) == (False, None, "order")


def test_a_stage_without_a_mix_has_no_parts_and_its_thresholds_name_no_request():
    (found,) = stages_of(
        replace(mixed_trial(search=FAST), load=replace(mixed_trial(search=FAST).load, parts={})),
        spec=SPEC.replace(b"{request=search}", b"").replace(b"{request=order}", b""),
    )

    assert found.parts == {}
    assert {check.request or "" for check in found.thresholds} == {""}


def test_a_search_stops_where_the_request_of_its_condition_becomes_slow():
    def offered(rps):
        slow = 30.0 if rps > 1500 else 3.0
        return {
            "search": Offered(rps * 3 // 4, rps * 3 // 4, 2.0),
            "order": Offered(rps // 4, rps // 4, slow),
        }

    entry = searched(b"'response_time{request=order}.p95 < 10ms'", offered)

    assert entry.held_rps <= 1500 < entry.failed_rps
    assert "response_time{request=order}.p95 is 4" in entry.sentence
    assert "ms (required: < 10ms)" in entry.sentence
    assert (entry.latency, entry.request) == ("response_time", "order")
    assert {probe.p95_ms > 40 for probe in entry.probes if not probe.ok} == {True}


def test_a_condition_on_the_errors_of_one_request_leaves_the_limit_of_the_others():
    def offered(rps):
        lost = rps // 10 if rps > 1500 else 0
        search, order = rps * 3 // 4, rps // 4
        return {
            "search": Offered(search, search - lost, 2.0),
            "order": Offered(order, order - order // 20, 2.0),
        }

    covered = searched(b"'errors{request=order} < 10%'", offered)
    whole = searched(b"errors < 50%", offered)

    assert covered.held_rps <= 1500 < covered.failed_rps
    assert "failed or were dropped" in covered.sentence
    assert whole.ending == "always"


def test_the_verdict_names_the_requests_that_were_refused():
    facts = mixed_trial(search=FAST, order=Offered(25, 25, 2.0))
    seconds = []
    for second in facts.load.seconds:
        refused = replace(second.parts["order"], succeeded=0, completed=0, failures={"bad_status": 25})
        whole = replace(second, succeeded=75, completed=75, failures={"bad_status": 25})
        seconds.append(replace(whole, parts=second.parts | {"order": refused}))
    (found,) = stages_of(replace(facts, load=replace(facts.load, seconds=tuple(seconds))), spec=SPEC)

    finding = next(finding for finding in found.verdict.findings if finding.code == "error-limited")
    assert [(item.name, item.value) for item in finding.evidence if item.name.startswith("request ")] == [
        ("request order", 100)
    ]


def test_a_rare_request_that_always_fails_is_the_limit_of_the_stage():
    facts = mixed_trial(0, "100 RPS", search=Offered(299, 299, 2.0), order=Offered(1, 1, 2.0))
    seconds = tuple(
        replace(
            second,
            failures={"bad_status": 1},
            succeeded=299,
            statuses={500: 1},
            parts=dict(second.parts)
            | {
                "order": replace(
                    second.parts["order"], succeeded=0, failures={"bad_status": 1}, statuses={500: 1}
                )
            },
        )
        for second in facts.load.seconds
    )
    (found,) = stages_of(replace(facts, load=replace(facts.load, seconds=seconds)), spec=SPEC)

    assert found.requests.lost / found.requests.scheduled < 0.01
    assert (found.verdict.code, found.verdict.confidence) == ("error-limited", "proven")
    assert "4 of 4 requests order" in found.verdict.findings[0].summary
    assert "status 500" in found.verdict.findings[0].summary
