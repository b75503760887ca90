"""Two engines agree, or the differences are explained."""

import re

import pytest
from msgspec.structs import replace

from runner.analyze.cross_check import cross_checks
from runner.analyze.results import results
from runner.core.calibration_facts import Calibration, Floor, Spacing
from runner.core.codes import Unbounded
from runner.core.errors import SpecificationError
from runner.core.measured import Latency, Requests
from runner.core.repeat_results import CrossCheck
from runner.experiment.load import read_spec
from runner.experiment.trials import plan
from runner.report.conclusion import conclusion
from runner.report.generator_accuracy import cross_check
from tests.analyze.facts import RUN, SPEC, load, trial
from tests.analyze.stages import stage
from tests.analyze.systems import stored

CHECKED = SPEC.replace(b"max_in_flight: 500", b"max_in_flight: 500, cross_check: true")


UNEVEN = (
    "uneven spacing: half of the gaps between k6's requests differed by at least 6,000 µs from the planned "
    "10,000 µs"
)


def floor(p95: float, error_us: float, engine: str) -> Calibration:
    spacing = Spacing(10_000, 10_000, error_us, error_us * 2)
    found = Floor(100, 1.0, {"p50": p95 / 2, "p95": p95, "p99": p95 * 2}, {}, None, spacing)
    return Calibration("2026-01-02T03:04:05+00:00", "new", 1, (found,), None, engine)


def checked(ours: dict, theirs: dict) -> CrossCheck:
    """Return the cross-check of the first stage; the engine that runs first alternates."""
    experiment = read_spec(CHECKED, source="shop.yaml")
    planned = plan(experiment, stages=["100 RPS"])
    facts = [replace(trial(0, "100 RPS", 100, 100, 2.0, 0.1), **ours)]
    facts.append(replace(trial(1, "100 RPS", 100, 100, 2.0, 0.1), **theirs))
    found = results(experiment, spec_sha256="0", run=RUN, trials=facts, planned=planned)
    (configuration,) = found.configurations
    assert [stage.engine for stage in configuration.stages] == ["builtin"]
    (check,) = configuration.cross_check
    return check


def test_engines_with_the_same_measurements_agree():
    check = checked({}, {})

    assert check.engines == ("builtin", "k6")
    assert (check.agrees, check.reasons) == (True, ())
    assert {each.metric for each in check.differences} >= {"actual_rps", "duration_ms.p95"}


def test_requests_that_an_engine_did_not_send_are_a_reason():
    check = checked({}, {"load": load(100, 90, 2.0)})

    assert not check.agrees
    assert check.reasons == ("drops: k6 did not send 40 requests (10.0%), so their latency is unknown",)


def test_an_inaccurate_engine_is_named_by_its_baseline_and_its_spacing():
    slow = {"load": load(100, 100, 6.0), "calibration": floor(5.0, 6_000, "k6")}

    check = checked({"calibration": floor(0.1, 5, "builtin")}, slow)

    assert check.reasons == (
        "baseline: against a no-op server, p95 is 5.00 ms with k6 and 0.10 ms with builtin",
        UNEVEN,
    )


@pytest.mark.parametrize(
    ("k6_ms", "baselines"),
    [
        (5.1, (0.58, 0.41)),  # k6 is slower here, but faster against the no-op server
        (9.0, (0.1, 0.5)),  # the baselines explain a small part only
        (2.4, (0.1, 3.0)),  # they would explain much more than there is
    ],
)
def test_baselines_that_do_not_fit_the_difference_are_no_reason(k6_ms, baselines):
    ours, theirs = (floor(p95, 5, engine) for p95, engine in zip(baselines, ("builtin", "k6"), strict=True))

    check = checked({"calibration": ours}, {"load": load(100, 100, k6_ms), "calibration": theirs})

    assert (check.agrees, check.reasons) == (False, ())
    configuration = replace(stored("single-process").configurations[0], cross_check=(check,))
    sentence = "The engines builtin and k6 disagree at 100 RPS; the difference is unexplained."
    assert conclusion([configuration]).endswith(sentence)


def test_an_incomplete_trial_is_the_first_reason():
    check = checked({}, {"status": "aborted"})

    assert check.reasons[0] == "the stage with k6 did not complete"


def test_thresholds_are_not_evaluated_on_the_other_engine():
    check = checked({}, {})

    assert check.trial.thresholds == ()


def test_stages_without_a_counterpart_are_left_out():
    assert cross_checks([stage(name="a")], []) == ()


@pytest.mark.parametrize("wrong", [b"arrivals: poisson", b"when_full: queue"])
def test_features_that_k6_lacks_cannot_be_cross_checked(wrong):
    text = CHECKED.replace(b"cross_check: true", b"cross_check: true, " + wrong)

    with pytest.raises(SpecificationError) as raised:
        read_spec(text, source="shop.yaml")

    assert "cross_check uses engine k6, which" in "".join(raised.value.details)


def test_a_percentile_without_a_finite_value_is_shown_and_agrees_with_no_finite_one():
    lossy = Latency(p50=2.0, unbounded=dict.fromkeys(("p95", "p99"), Unbounded.LOST))
    ours = stage(
        actual_rps=90.0, duration_ms=lossy, requests=Requests(100, 100, 90, 10, 0, {"bad_status": 10})
    )
    finite = replace(ours, engine="k6", duration_ms=Latency(p50=2.0, p95=2.1, p99=2.2))

    (one_sided,) = cross_checks([ours], [finite])
    (both,) = cross_checks([ours], [replace(ours, engine="k6")])
    configuration = replace(stored("single-process").configurations[0], stages=(ours,))
    shown = cross_check(replace(configuration, cross_check=(one_sided,)))
    all_lost = replace(one_sided, agrees=True, differences=one_sided.differences[:1])

    assert (one_sided.agrees, both.agrees) == (False, True)
    assert re.search(r"\| p95 Duration \(ms\) +\| +no value: 10 % failed \| +2.10 \| +– \|", shown.table)
    lines = cross_check(replace(configuration, cross_check=(all_lost,))).lines
    assert lines[0].endswith("agree within 1 % in rate; no duration can be compared.")


def test_a_difference_from_nothing_has_no_ratio_and_is_not_called_unmeasured():
    ours, theirs = stage(actual_rps=0.0), stage(actual_rps=5.0, engine="k6")

    (check,) = cross_checks([ours], [theirs])
    configuration = replace(stored("single-process").configurations[0], stages=(ours,), cross_check=(check,))

    assert re.search(r"\| +0 \| +5 \| +\*\*–\*\* \|", cross_check(configuration).table)
