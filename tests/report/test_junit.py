from xml.etree import ElementTree as ET

import pytest

from runner.core.codes import StageStatus, Unbounded, Validity
from runner.core.judgements import StageValidity, ThresholdResult
from runner.report.junit import render_junit
from tests.report import mixes
from tests.report.stored_results import stored, with_experiment, with_stage


@pytest.mark.parametrize("name", ["app-server", "capacity", "docker-4k", "single-process"])
def test_real_runs_have_a_suite_for_each_configuration_and_a_case_for_each_stage_and_threshold(name):
    results = stored(name)

    root = ET.fromstring(render_junit(results))

    assert len(root) == len(results.configurations)
    stages = [stage for configuration in results.configurations for stage in configuration.stages]
    assert len(root.findall(".//testcase")) == len(stages) + sum(len(stage.thresholds) for stage in stages)
    assert root.get("tests") == str(len(root.findall(".//testcase")))


def test_a_valid_stage_states_its_metrics_and_its_verdict():
    root = ET.fromstring(render_junit(stored("docker-4k")))

    figures = root.find(".//system-out").text.splitlines()

    assert figures[:5] == [
        "Target RPS: 4,000",
        "Actual RPS: 1,978 RPS",
        "Achieved: 49.4 %",
        "Failed or Dropped: 50.6 %",
        "p95 Duration: 1,068 ms",
    ]
    assert figures[5].startswith("Verdict: host-cpu-limited (")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0.67, "achieved >= 99% failed: measured 67 %"),
        (None, "achieved >= 99% failed: not measured"),
    ],
)
def test_a_failed_threshold_is_a_failure_with_its_value_and_the_verdict(value, message):
    thresholds = (
        ThresholdResult("achieved >= 99%", ok=False, value=value),
        ThresholdResult("errors < 1%", ok=True, value=0.0),
    )

    root = ET.fromstring(render_junit(with_stage(stored("single-process"), thresholds=thresholds)))

    (failure,) = root.findall(".//failure")
    assert failure.get("message") == message
    assert "within-capacity" in failure.text
    assert (root.get("failures"), root.get("errors")) == ("1", "0")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": StageStatus.NOT_RUN}, "the stage was not run"),
        ({"validity": StageValidity(Validity.INVALID, ("a worker died",))}, "a worker died"),
    ],
)
def test_a_stage_without_valid_numbers_is_an_error(change, message):
    results = with_stage(stored("single-process"), **change)

    (error,) = ET.fromstring(render_junit(results)).findall(".//error")

    assert error.get("message") == message


def test_hostile_names_stay_text():
    results = with_experiment(stored("single-process"), title='"><script>\x00\ud800</script>&')
    results = with_stage(results, name="]]><!-- \x1b[31m")

    root = ET.fromstring(render_junit(results).encode())

    assert root.get("name") == '"><script>\ufffd\ufffd</script>&'
    assert "]]><!-- \ufffd[31m: is a valid measurement" in [
        case.get("name") for case in root.iter("testcase")
    ]


def test_a_valid_stage_states_the_metrics_of_each_request_on_a_line():
    root = ET.fromstring(render_junit(mixes.mix(lossy="order")))

    figures = root.find(".//system-out").text.splitlines()

    assert figures[-4:-1] == [
        "search: Actual RPS 60 RPS, Achieved 100 %, Failed or Dropped 0 %, p95 Duration 0.97 ms",
        "view: Actual RPS 25 RPS, Achieved 100 %, Failed or Dropped 0 %, p95 Duration 1.94 ms",
        "add-to-cart: Actual RPS 10 RPS, Achieved 100 %, Failed or Dropped 0 %, p95 Duration 2.90 ms",
    ]
    assert figures[-1].startswith("order: Actual RPS 5 RPS, Achieved 100 %, Failed or Dropped 20 %, p95 Dur")


def test_a_failed_threshold_on_a_request_says_what_that_request_lost():
    expr = "duration{request=order}.p95 < 10ms"
    lost = ThresholdResult(expr, ok=False, value=None, unbounded=Unbounded.LOST, request="order")

    root = ET.fromstring(render_junit(with_stage(mixes.mix(lossy="order"), thresholds=(lost,))))

    (failure,) = root.findall(".//failure")
    assert failure.get("message") == f"{expr} failed: no value: 20 % failed or dropped"
