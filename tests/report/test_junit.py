import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from runner.report.junit import render_junit

RESULTS = Path(__file__).parents[1] / "results"
"""Of real runs, kept as they are while those in reports/ are made anew."""


def stored(name):
    return json.loads((RESULTS / f"{name}.json").read_text())


def first_stage(results):
    return results["configurations"][0]["stages"][0]


@pytest.mark.parametrize("name", ["app-server", "capacity", "docker-4k", "single-process"])
def test_real_runs_have_a_suite_for_each_configuration_and_a_case_for_each_stage_and_threshold(name):
    results = stored(name)

    root = ET.fromstring(render_junit(results))

    assert len(root) == len(results["configurations"])
    stages = [stage for each in results["configurations"] for stage in each["stages"]]
    assert len(root.findall(".//testcase")) == len(stages) + sum(len(stage["thresholds"]) for stage in stages)
    assert root.get("tests") == str(len(root.findall(".//testcase")))


def test_a_threshold_that_failed_is_a_failure_with_its_value_and_the_verdict():
    results = stored("single-process")
    first_stage(results)["thresholds"] = [
        {"expr": "achieved >= 99%", "ok": False, "value": 0.67},
        {"expr": "errors < 1%", "ok": True, "value": 0.0},
    ]

    root = ET.fromstring(render_junit(results))

    (failure,) = root.findall(".//failure")
    assert failure.get("message") == "achieved >= 99% does not hold: it is 0.67"
    assert "within-capacity" in failure.text
    assert (root.get("failures"), root.get("errors")) == ("1", "0")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": "not-run"}, "the stage was not run"),
        ({"validity": {"status": "invalid", "reasons": ["a worker died"]}}, "a worker died"),
    ],
)
def test_a_stage_that_cannot_be_believed_is_an_error(change, words):
    results = stored("single-process")
    first_stage(results).update(change)

    (error,) = ET.fromstring(render_junit(results)).findall(".//error")

    assert error.get("message") == words


def test_hostile_names_stay_text():
    results = stored("single-process")
    results["experiment"]["title"] = '"><script>\x00\ud800</script>&'
    first_stage(results)["name"] = "]]><!-- \x1b[31m"

    root = ET.fromstring(render_junit(results).encode())

    assert root.get("name") == '"><script>\ufffd\ufffd</script>&'
    assert "]]><!-- \ufffd[31m: is a valid measurement" in [
        case.get("name") for case in root.iter("testcase")
    ]
