"""The heading of a verdict never says that something is proven beside a doubt of the measurement."""

import pytest

from runner.report.page.evidence import VerdictGroup


@pytest.mark.parametrize(
    ("name", "confidence", "validity", "summary"),
    [
        ("app-cpu-limited", "proven", "valid", "proven · 100 RPS"),
        ("within-capacity", "proven", "suspect", "100 RPS · suspect"),
        ("app-cpu-limited", "proven", "suspect", "100 RPS · suspect; proven if the measurements are right"),
        ("undetermined", "hint", "invalid", "100 RPS · invalid"),
    ],
)
def test_a_doubt_stands_before_the_confidence(name, confidence, validity, summary):
    assert VerdictGroup(name, confidence, validity, "good", "100 RPS", ()).summary == summary
