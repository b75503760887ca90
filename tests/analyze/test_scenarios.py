"""What is concluded of scenarios: counts, steps, the share that was sustained, and what limits it."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from runner.analyze.growth import pauses_s
from runner.analyze.medians import of_medians
from runner.analyze.rules.scenarios import slowest_step
from runner.analyze.verdict import verdict
from runner.core.codes import Limit, Unbounded, Validity
from runner.core.load_results import ScenarioSummary, StepSummary
from runner.core.ramp import Ramp
from runner.report.metric_text import threshold_value
from tests.analyze.facts import results_of, stages_of
from tests.analyze.scenario_facts import SPEC, scenario_trial, users, usual


def spec_of(window_s: float, warmup_s: float, rate: float | Ramp) -> bytes:
    ramp = isinstance(rate, Ramp)
    level = f"{{from: {rate.begin:g}, to: {rate.to:g}}}" if ramp else f"{rate:g}"
    warmup = f", warmup: {warmup_s:g}s" if warmup_s else ""
    return SPEC.replace(
        b"users_per_s: 20, duration: 10s", f"users_per_s: {level}, duration: {window_s:g}s{warmup}".encode()
    )


def stage(made, window_s=10.0, warmup_s=0.0, rate=20.0, **changes):
    trial = scenario_trial(made, rate, window_s=window_s, warmup_s=warmup_s, **changes)
    (found,) = stages_of(trial, spec=spec_of(window_s, warmup_s, rate))
    return found


class Queue:
    """A payment service that takes one payment after another, so many per second."""

    def __init__(self, capacity: float) -> None:
        self.free_at, self.capacity = -math.inf, capacity

    def __call__(self, step: str, due: float) -> float:
        if step != "pay":
            return usual(step, due)
        self.free_at = max(self.free_at, due) + 1 / self.capacity
        return self.free_at - due


def test_each_scenario_and_each_step_has_its_own_numbers_in_the_order_of_the_specification():
    found = stage(users())

    assert list(found.parts) == [
        "checkout",
        "checkout/login",
        "checkout/cart",
        "checkout/pay",
        "visit",
        "visit/home",
    ]
    assert (found.target_rps, found.users_per_s, found.users) == (None, 20, None)
    assert (found.scenarios.scheduled, found.scenarios.completed, found.scenarios.lost) == (200, 200, 0)
    assert [part.users_per_s for part in found.scenario_parts.values()] == [15, 5]
    checkout, pay = found.parts["checkout"], found.parts["checkout/pay"]
    assert checkout.scenario_duration_ms.p95 == pytest.approx(1250, rel=0.001)
    assert (checkout.requests.scheduled, pay.requests.scheduled, found.requests.scheduled) == (450, 150, 500)
    assert [part.time_share for part in found.steps_of("checkout").values()] == [0.08, 0.12, 0.8]
    assert (pay.scenario, pay.scenarios, pay.achieved) == ("checkout", None, None)
    assert pauses_s(found) == pytest.approx(1.0)


def test_what_was_sent_is_in_the_results():
    (configuration,) = results_of(scenario_trial(users()), spec=SPEC).configurations

    load = configuration.load
    assert (load.request, load.requests) == (None, UNSET)
    assert load.scenarios[1] == ScenarioSummary("visit", 0.25, (StepSummary("home", "GET", "/"),))
    assert [step.name for step in load.scenarios[0].steps] == ["login", "cart", "pay"]


def test_a_step_that_goes_to_an_extracted_url_has_no_path():
    spec = SPEC.replace(b"path: /login}", b"path: /login}\n          extract: {next: {header: Location}}")
    spec = spec.replace(b"path: /cart", b'url: "${next}"')

    (configuration,) = results_of(scenario_trial(users()), spec=spec).configurations

    assert [step.path for step in configuration.load.scenarios[0].steps] == ["/login", "", "/pay"]


def test_a_threshold_with_the_short_name_of_a_step_is_about_that_step():
    spec = SPEC.replace(b"{request=checkout/pay}", b"{request=pay}")
    trial = scenario_trial(users(fails=lambda k: "pay" if k % 8 == 0 else ""))

    (found,) = stages_of(trial, spec=spec)

    result = found.thresholds[2]
    assert (result.request, result.unbounded) == ("checkout/pay", Unbounded.LOST)
    assert found.part("checkout/pay").thresholds == (result,)
    assert threshold_value(result, found) == "no value: 16.7 % failed"  # 25 of 150; 5 % of all requests


def test_thresholds_select_scenarios_and_steps():
    duration, errors, pay, visits = stage(users()).thresholds

    assert (duration.value, duration.request) == (pytest.approx(1250), "checkout")
    assert (errors.value, pay.value, visits.value) == (0, pytest.approx(200), 5)
    assert all(one.ok for one in (duration, errors, pay, visits))


def test_percentiles_are_those_of_all_runs_due_and_a_step_counts_the_users_who_ended_there():
    found = stage(users(fails=lambda k: "cart" if k % 8 == 0 else ""))

    checkout, cart = found.parts["checkout"], found.parts["checkout/cart"]
    assert (checkout.scenarios.failed, checkout.scenarios.failures) == (25, {"extract_failed": 25})
    assert checkout.scenario_duration_ms.why_unbounded("p90") is Unbounded.LOST
    assert (cart.ended_users, found.parts["checkout/pay"].requests.scheduled) == (25, 125)
    assert found.thresholds[1].value == 0.125
    assert found.verdict.code is Limit.ERROR
    assert "extract_failed" in found.verdict.findings[0].summary


@pytest.mark.parametrize("longest_s", [0.0, 40.0])
@pytest.mark.parametrize("warmup_s", [0.0, 5.0])
def test_users_who_pause_are_no_backlog(longest_s, warmup_s):
    noise = random.Random(3)

    made = users(window_s=60, warmup_s=warmup_s, pause_s=lambda: noise.uniform(0, longest_s), timeout_s=45)

    found = stage(made, 60, warmup_s)
    assert (found.achieved, found.verdict.code) == (1, Limit.WITHIN_CAPACITY)


def test_users_whom_the_end_of_the_stage_cut_off_say_nothing_about_the_service():
    found = stage(users(window_s=60, pause_s=20.0, timeout_s=10), 60)

    assert found.scenarios.unfinished > 100
    assert found.scenarios.scheduled == found.scenarios.completed + found.scenarios.unfinished
    assert (found.achieved, found.verdict.code) == (1, Limit.WITHIN_CAPACITY)


@pytest.mark.parametrize("capacity", [5, 10, 13])
@pytest.mark.parametrize("pause_s", [1.0, 10.0])
def test_an_overloaded_step_achieves_its_capacity_and_is_named(capacity, pause_s):
    found = stage(users(window_s=60, times=Queue(capacity), pause_s=pause_s), 60)

    # 15 of 20 users a second pay, 5 need not
    assert found.parts["checkout"].achieved == pytest.approx(capacity / 15, abs=0.06)
    assert found.achieved == pytest.approx(0.75 * capacity / 15 + 0.25, abs=0.05)
    assert found.verdict.code is Limit.APP_CONCURRENCY
    assert any("share of checkout/pay" in evidence.name for evidence in found.verdict.findings[0].evidence)


def test_users_whom_the_end_cut_off_because_the_service_is_overloaded_count():
    found = stage(users(window_s=60, warmup_s=15, times=Queue(5), pause_s=10.0), 60, 15)

    assert found.scenarios.unfinished > 600
    assert found.achieved < 0.5
    assert found.verdict.code is Limit.APP_CONCURRENCY


def test_a_ramp_of_users_is_limited_where_the_service_falls_behind():
    rate = Ramp(1, 20)
    made = users(1, 60, rate_to=20, pause_s=1.0, times=Queue(7))

    found = stage(made, 60, rate=rate)

    assert found.rate_ramp == rate
    assert len(found.slices) == 12
    assert found.slices[0].level == Ramp(1, pytest.approx(2.583333))
    assert sum(part.scenarios.completed for part in found.slices) == found.scenarios.completed
    assert "users/s" in found.verdict.findings[0].summary


def test_few_failed_requests_that_fail_many_scenarios_are_the_limit():
    found = stage(users(window_s=60, fails=lambda k: "pay" if k % 67 == 0 else ""), 60)

    assert found.verdict.code is Limit.ERROR


def test_seconds_in_which_all_users_pause_are_no_failure_of_the_service():
    spec = SPEC.replace(b"users_per_s: 20", b"users: 2")
    made = users(0.2, 10, pause_s=4.0)
    trial = scenario_trial(made, stage="2 users", users=2, users_per_s=None)

    (found,) = stages_of(trial, spec=spec)

    assert any(second.rps == 0 for second in found.timeseries)
    assert found.validity.status is Validity.VALID
    assert found.verdict.code is not Limit.ERROR


def test_repeats_are_judged_on_the_median_of_their_runs():
    spec = SPEC.replace(b"version: 1", b"version: 1\nrepeats: 3")
    fails = (lambda _: "", lambda k: "pay" if k % 20 == 0 else "", lambda k: "pay" if k % 4 == 0 else "")
    trials = [
        replace(scenario_trial(users(fails=fail)), repeat=n, order=n - 1)
        for n, fail in enumerate(fails, start=1)
    ]

    (configuration,) = results_of(*trials, spec=spec).configurations
    (median,) = of_medians(configuration).stages

    assert [stage.scenarios.failed for stage in configuration.stages] == [0, 10, 50]
    assert (median.scenarios.failed, median.parts["checkout/pay"].ended_users) == (10, 10)
    assert configuration.repeats[0].metrics["scenarios_lost"].median == pytest.approx(0.05)
    assert [one.ok for one in median.thresholds] == [False, False, False, True]


def test_counts_that_do_not_add_up_make_a_stage_invalid():
    trial = scenario_trial(users())
    load = trial.load
    second = load.seconds[3]
    lost = {name: replace(own, succeeded=max(0, own.succeeded - 1)) for name, own in second.scenarios.items()}
    seconds = (*load.seconds[:3], replace(second, scenarios=lost), *load.seconds[4:])

    (found,) = stages_of(replace(trial, load=replace(load, seconds=seconds)), spec=SPEC)

    assert found.validity.status is Validity.INVALID
    assert "the counts of scenarios do not add up" in found.validity.reasons


@settings(max_examples=15, deadline=None)
@given(
    st.floats(2, 30).map(lambda rate: round(rate, 1)), st.integers(3, 12), st.floats(0, 15),
    st.floats(0.5, 12), st.integers(1, 40), st.sampled_from(["login", "cart", "pay", "home"]),
)  # fmt: skip
def test_counts_add_up_and_shares_stay_within_1(rate, window_s, pause_s, timeout_s, every, step):
    made = users(
        rate, window_s, pause_s=pause_s, timeout_s=timeout_s, times=Queue(10),
        fails=lambda k: step if k % every == 0 else "",
    )  # fmt: skip

    found = stage(made, float(window_s), rate=rate)

    assert found.validity.status is not Validity.INVALID
    runs = found.scenarios
    assert runs.scheduled == len(made) == runs.completed + runs.lost
    for name, part in found.scenario_parts.items():
        steps = found.steps_of(name).values()
        assert part.requests.scheduled == sum(one.requests.scheduled for one in steps)
        assert part.requests.succeeded == sum(one.requests.succeeded for one in steps)
        assert sum(one.time_share or 0 for one in steps) == pytest.approx(
            1 if any(one.requests.succeeded for one in steps) else 0, abs=1e-5
        )
        assert sum(one.ended_users for one in steps) >= part.scenarios.failed
    assert 0 <= found.achieved <= 1


def test_rates_of_a_stage_that_was_cut_short_are_those_of_the_time_in_which_it_ran():
    trial = scenario_trial(users())
    seconds = tuple(second for second in trial.load.seconds if second.index < 4)
    load = replace(trial.load, seconds=seconds, backlog=None, complete=False)
    (cut,) = stages_of(replace(trial, status="aborted", load=load), spec=spec_of(10, 0, 20.0))

    # 5 visits a second, and 15 checkouts from 1.25 s on
    assert cut.window_s == 4
    assert cut.scenarios_per_s == pytest.approx((5 * 4 + 15 * 2.75) / 4, abs=0.5)
    assert cut.achieved is None
    assert cut.verdict.findings[0].summary.startswith("the stage was cut short")
    assert cut.validity.status is Validity.SUSPECT


def test_a_step_that_is_merely_frequent_is_no_hint_of_the_limit():
    slow, frequent = (slowest_step(_with_times(stage(users()), counts)) for counts in ((1, 8), (30, 1)))

    assert (slow.step, slow.is_frequent) == ("cart", False)
    assert (frequent.step, frequent.is_frequent) == ("cart", True)


def _with_times(whole, counts):
    """Return a stage whose cart is requested so often, and takes so many times as long as a log-in."""
    often, times = counts
    share = often * times / (often * times + 1)
    parts = dict(whole.parts)
    for name, factor, time_share in (("checkout/login", 1, 1 - share), ("checkout/cart", often, share)):
        part = parts[name]
        requests = replace(part.requests, succeeded=100 * factor)
        parts[name] = replace(part, requests=requests, time_share=time_share)
    parts["checkout/pay"] = replace(parts["checkout/pay"], time_share=None)
    return replace(whole, parts={name: part for name, part in parts.items() if "visit" not in name})


def test_a_bound_of_the_load_that_was_reached_is_named_where_nothing_else_is_short():
    # 15 users/s who take 1.25 s, and 5 who take 5 ms, are 18.8 under way
    lost = replace(stage(users()), achieved=0.8)
    (finding,) = verdict(lost, 2, max_in_flight=19).findings[:1]
    (other,) = verdict(lost, 2, max_in_flight=100).findings[:1]

    assert finding.code is other.code is Limit.UNDETERMINED
    bound = "load.max_in_flight allows 19 users at a time, which was reached in 9 of 10 seconds"
    assert finding.summary.startswith(f"80.0 % of the users due were served: {bound}, while nothing else was")
    assert finding.advice.startswith("raise load.max_in_flight to at least 29: if the throughput grows")
    assert "max_in_flight" not in f"{other.summary}{other.advice}"
