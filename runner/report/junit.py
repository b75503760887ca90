"""The outcome as JUnit XML, which every CI shows: a test suite a configuration, a test case a promise.

A promise is a threshold on a stage, and that the stage may be believed at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from xml.etree import ElementTree as ET

from runner.report import number_format

Stage = Mapping[str, Any]

_UNFIT: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold (section 2.2)."""


def render_junit(results: Mapping[str, Any]) -> str:
    """XML text in the shape that Jenkins, GitLab and GitHub's actions read; the same for the same results.

    A stage that is invalid, failed or was not run is an error, a threshold that failed a failure; thresholds
    of a stage that was not run are skipped.
    """
    root = ET.Element("testsuites", {"name": _fit(results["experiment"]["title"])})
    for configuration in results["configurations"]:
        root.append(_suite(configuration, results))
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _suite(configuration: Mapping[str, Any], results: Mapping[str, Any]) -> ET.Element:
    name = f"{results['experiment']['name']}.{configuration['name']}"
    cases = [case for stage in configuration["stages"] for case in _cases(stage, name)]
    suite = ET.Element("testsuite", {"name": _fit(name), "timestamp": _fit(results["run"]["started_at"])})
    suite.extend(cases)
    suite.set("tests", str(len(cases)))
    for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(sum(case.find(tag) is not None for case in cases)))
    return suite


def _cases(stage: Stage, suite: str) -> Iterator[ET.Element]:
    name = stage["name"] + (f" (repeat {stage['repeat']})" if stage["repeat"] > 1 else "")
    yield _believable(stage, name, suite)
    for threshold in stage["thresholds"]:
        case = _case(f"{name}: {threshold['expr']}", suite)
        if not threshold["ok"]:
            value = threshold["value"]
            said = "it was not measured" if value is None else f"it is {value:g}"
            _add(case, "failure", f"{threshold['expr']} does not hold: {said}", _verdict(stage))
        yield case


def _believable(stage: Stage, name: str, suite: str) -> ET.Element:
    case = _case(f"{name}: is a valid measurement", suite)
    status, validity = stage["status"], stage["validity"]
    if status == "not-run":
        _add(case, "error", "the stage was not run", "")
    elif validity["status"] == "invalid":
        _add(case, "error", "; ".join(validity["reasons"]), _verdict(stage))
    else:
        ET.SubElement(case, "system-out").text = _fit(_figures(stage))
    return case


def _case(name: str, suite: str) -> ET.Element:
    return ET.Element("testcase", {"name": _fit(name), "classname": _fit(suite)})


def _add(case: ET.Element, tag: str, message: str, text: str) -> None:
    element = ET.SubElement(case, tag, {"message": _fit(message)})
    element.text = _fit(text) or None


def _verdict(stage: Stage) -> str:
    verdict = stage["verdict"]
    found = "; ".join(finding["summary"] for finding in verdict["findings"])
    return f"{verdict['code']} ({verdict['confidence']}): {found}" if found else str(verdict["code"])


def _figures(stage: Stage) -> str:
    return (
        f"{number_format.rate(stage['actual_rps'])} of {number_format.rate(stage['target_rps'])} RPS, "
        f"p95 duration {number_format.ms(stage['duration_ms']['p95'])} ms, {_verdict(stage)}"
    )


def _fit(text: str) -> str:
    return _UNFIT.sub("\ufffd", text)
