"""The outcome as JUnit XML, which every CI shows.

A configuration is a test suite. Each of its stages is a test case that passes if the measurement is valid,
and each threshold on a stage is another one; of a repeated stage, on the median of its repeats.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree as ET

from runner.analyze.median_stage import MEDIAN
from runner.analyze.medians import of_medians
from runner.core.codes import StageStatus, Validity
from runner.core.metrics import METRICS
from runner.core.results import ConfigurationResults, Results
from runner.core.stage_results import Stage
from runner.report import metric_text
from runner.report.markdown_text import unmarked
from runner.report.metric_text import level_heading, level_unit, threshold_value
from runner.report.prose import until_failure
from runner.report.ramps import each_slice
from runner.report.request_tables import all_parts
from runner.report.tables import level_of

_NOT_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters outside XML 1.0 (section 2.2)."""
_OF_SCENARIOS: Final = ("scenarios_per_s", "scenario_errors", "scenario_duration.p95")
_FIGURES: Final = ("actual_rps", "achieved", "errors", "duration.p95")
"""Metrics that a passed case states."""


def render_junit(results: Results) -> str:
    """Return XML text in the shape that Jenkins, GitLab and GitHub's actions read.

    A stage that is invalid, was aborted or was not run is an error, a threshold that failed a failure. The
    same results give the same text.
    """
    root = ET.Element("testsuites", {"name": _xml(results.experiment.title)})
    root.extend(_suite(configuration, results) for configuration in results.configurations)
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _suite(configuration: ConfigurationResults, results: Results) -> ET.Element:
    name = f"{results.experiment.name}.{configuration.name}"
    stages = of_medians(configuration).stages
    cases = [_validity(stage, name) for stage in configuration.stages]
    cases += [case for stage in stages for case in _cases(stage, name)]
    suite = ET.Element("testsuite", {"name": _xml(name), "timestamp": _xml(results.run.started_at)})
    suite.extend(cases)
    suite.set("tests", str(len(cases)))
    for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(sum(case.find(tag) is not None for case in cases)))
    return suite


def _cases(stage: Stage, suite: str) -> Iterator[ET.Element]:
    if stage.repeat == MEDIAN:
        yield _validity(stage, suite)
    for threshold in stage.thresholds:
        case = _case(f"{stage.title}: {threshold.expr}", suite)
        if not threshold.ok:
            value = threshold_value(threshold, stage)
            measured = value if threshold.value is None else f"measured {value}"
            _add(case, "failure", f"{threshold.expr} failed: {measured}", _verdict(stage))
        yield case


def _validity(stage: Stage, suite: str) -> ET.Element:
    case = _case(f"{stage.title}: is a valid measurement", suite)
    if stage.status is StageStatus.NOT_RUN:
        _add(case, "error", "the stage was not run", "")
    elif stage.status is StageStatus.ABORTED:
        _add(case, "error", "the stage was aborted before its end", _verdict(stage))
    elif stage.validity.status is Validity.INVALID:
        until = unmarked(until_failure(stage))
        _add(
            case,
            "error",
            "; ".join(stage.validity.reasons),
            "\n".join(filter(None, (_verdict(stage), until))),
        )
    else:
        ET.SubElement(case, "system-out").text = _xml(_figures(stage))
    return case


def _case(name: str, suite: str) -> ET.Element:
    return ET.Element("testcase", {"name": _xml(name), "classname": _xml(suite)})


def _add(case: ET.Element, tag: str, message: str, text: str) -> None:
    element = ET.SubElement(case, tag, {"message": _xml(message)})
    element.text = _xml(text) or None


def _verdict(stage: Stage) -> str:
    verdict = stage.verdict
    summaries = "; ".join(finding.summary for finding in verdict.findings)
    return f"{verdict.name} ({verdict.confidence}): {summaries}" if summaries else verdict.name


def _figures(stage: Stage) -> str:
    target = f"{level_heading(stage)}: {level_of(stage)}"
    metrics = [METRICS[path] for path in (_OF_SCENARIOS if stage.scenarios else ()) + _FIGURES]
    measured = [f"{metric.title}: {metric_text.with_unit(metric, stage)}" for metric in metrics]
    requests = [f"{name}: {_of_request(part)}" for name, part in all_parts(stage)]
    slices = [f"{name} {level_unit(stage)}: {_of_request(part)}" for name, part in each_slice(stage)]
    return "\n".join([target, *measured, f"Verdict: {_verdict(stage)}", *requests, *slices])


def _of_request(part: Stage) -> str:
    """Return the figures of one request of a mix, or of one slice of a ramp, on one line."""
    figures = (_OF_SCENARIOS if part.scenarios else ()) + _FIGURES
    metrics = [METRICS[path] for path in figures if path != "achieved" or part.achieved is not None]
    return ", ".join(f"{metric.title} {metric_text.with_unit(metric, part)}" for metric in metrics)


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
