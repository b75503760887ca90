"""Two engines agree, or the numbers say why they do not."""

import pytest
from msgspec.structs import replace

from runner.analyze.cross_check import cross_checks
from runner.analyze.results import results
from runner.core.errors import SpecificationError
from runner.core.facts import Calibration, Floor, Spacing
from runner.core.results import CrossCheck
from runner.experiment.load import read_spec
from runner.experiment.trials import plan
from tests.analyze.facts import RUN, SPEC, load, trial
from tests.analyze.stages import stage

CHECKED = SPEC.replace(b"max_in_flight: 500", b"max_in_flight: 500, cross_check: true")


def floor(p95: float, error_us: float, engine: str) -> Calibration:
    spacing = Spacing(10_000, 10_000, error_us, error_us * 2)
    found = Floor(100, 1.0, {"p50": p95 / 2, "p95": p95, "p99": p95 * 2}, {}, None, spacing)
    return Calibration("2026-01-02T03:04:05+00:00", "new", 1, (found,), None, engine)


def checked(ours: dict, theirs: dict) -> CrossCheck:
    """The cross-check of the first stage; stages one and two run builtin first and k6 first."""
    experiment = read_spec(CHECKED, source="shop.yaml")
    planned = plan(experiment, stages=["100 RPS"])
    facts = [replace(trial(0, "100 RPS", 100, 100, 2.0, 0.1), **ours)]
    facts.append(replace(trial(1, "100 RPS", 100, 100, 2.0, 0.1), **theirs))
    found = results(experiment, spec_sha256="0", run=RUN, trials=facts, planned=planned)
    (configuration,) = found.configurations
    assert [stage.engine for stage in configuration.stages] == ["builtin"]
    (check,) = configuration.cross_check
    return check


def test_engines_that_see_the_same_agree_and_need_no_reasons():
    check = checked({}, {})

    assert check.engines == ("builtin", "k6")
    assert (check.agrees, check.reasons) == (True, ())
    assert {each.metric for each in check.differences} >= {"actual_rps", "duration_ms.p95"}


def test_what_each_did_not_send_is_a_reason():
    check = checked({}, {"load": load(100, 90, 2.0)})

    assert not check.agrees
    assert check.reasons == ("drops: k6 did not send 40 requests (10.0%), so their latency is unknown",)


def test_the_engine_that_measures_itself_is_named_by_its_floor_and_its_bunching():
    slow = {"load": load(100, 100, 9.0), "calibration": floor(5.0, 6_000, "k6")}

    check = checked({"calibration": floor(0.1, 5, "builtin")}, slow)

    assert check.reasons == (
        "baseline: against a no-op server, p95 is 5.00 ms with k6 and 0.10 ms with builtin",
        "uneven spacing: half of the gaps between k6's requests differed by at least 6,000 µs from "
        + "the planned 10,000 µs",
    )


def test_a_trial_that_did_not_end_is_the_first_reason():
    check = checked({}, {"status": "aborted"})

    assert check.reasons[0] == "the stage with k6 did not complete"


def test_thresholds_judge_the_service_once():
    check = checked({}, {})

    assert check.trial.thresholds == ()


def test_stages_without_a_partner_are_left_out():
    assert cross_checks([stage(name="a")], []) == ()


@pytest.mark.parametrize("wrong", [b"arrivals: poisson", b"when_full: queue"])
def test_what_k6_cannot_do_cannot_be_cross_checked(wrong):
    text = CHECKED.replace(b"cross_check: true", b"cross_check: true, " + wrong)

    with pytest.raises(SpecificationError) as raised:
        read_spec(text, source="shop.yaml")

    assert "cross_check uses engine k6, which" in "".join(raised.value.details)
