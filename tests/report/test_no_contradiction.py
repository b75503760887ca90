"""Titles, headline and analysis of one report follow one rule: they never contradict each other."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from runner.core.codes import Limit, StageStatus, Validity
from runner.core.results import Results
from runner.core.stage_results import Stage
from runner.report.charts.stages import throughput
from runner.report.conclusion import conclusion
from runner.report.final_paragraphs import final
from runner.report.markdown import render_markdown
from runner.report.prose import analysis
from tests.analyze.facts import results_of
from tests.analyze.mixed_facts import SPEC, Offered, mixed_trial
from tests.analyze.stages import valid

RATES = (50, 100, 200)
STAGES = b"".join(b"  - {rps: %d, duration: 4s}\n" % rps for rps in RATES)
THREE = SPEC.replace(b"  - {rps: 100, duration: 4s}\n", STAGES)


@st.composite
def mixes(draw) -> Results:
    """Results of three rates of a mix; few or many requests are lost, some stages are invalid."""
    facts = []
    for number, rps in enumerate(RATES):
        orders = draw(st.sampled_from([1, 5, rps // 2]))
        lost = [draw(st.sampled_from([0, 0, 1, n // 2, n])) for n in (rps - orders, orders)]
        offered = {
            name: Offered(n, max(n - gone, 0), draw(st.sampled_from([1.0, 40.0])))
            for name, n, gone in zip(("search", "order"), (rps - orders, orders), lost, strict=True)
        }
        facts.append(mixed_trial(number, f"{rps} RPS", **offered))
    results = results_of(*facts, spec=THREE)
    (configuration,) = results.configurations
    judged = [valid("invalid", "a worker died"), valid("suspect", "it was late"), valid(), valid()]
    stages = tuple(replace(stage, validity=draw(st.sampled_from(judged))) for stage in configuration.stages)
    return replace(results, configurations=(replace(configuration, stages=stages),))


def holds(stage: Stage) -> bool:
    kept_up = stage.verdict.code is Limit.WITHIN_CAPACITY and stage.validity.status is not Validity.INVALID
    return kept_up and all(threshold.ok for threshold in stage.thresholds)


@given(mixes())
@settings(max_examples=150, deadline=None)
def test_no_sentence_contradicts_another(results):
    (configuration,) = results.configurations
    stages = configuration.stages
    good = [stage for stage in stages if holds(stage)]
    drawn = [stage for stage in stages if stage.validity.status is not Validity.INVALID]
    chart = throughput(results)
    title = chart.title if chart else ""
    headline, text = conclusion([configuration]), " ".join(analysis(stages))
    ending = " ".join(final([configuration]))

    assert title.startswith("Every") == (bool(drawn) and all(map(holds, drawn)))
    assert title.startswith("Every offered rate") == all(map(holds, stages))
    assert headline.startswith("The highest sustained rate is ") == bool(good)
    doubtful = len(drawn) < len(stages)
    none = "No offered rate was shown to be sustained" if doubtful else "No offered rate was sustained"
    assert headline.startswith(none) == (not good)
    assert ("kept up with" in text) == bool(good)
    assert ("kept up with every offered rate" in text) == all(map(holds, stages))
    assert ("No bottleneck was found" in headline) == all(map(holds, stages))
    none = "was not shown to sustain any rate" if doubtful else "sustained none of the rates"
    assert (none in ending) == (not good)
    highest = max((stage.target_rps for stage in good), default=0)
    if "offered rates up to" in text:
        assert all(stage.target_rps > highest for stage in stages if not holds(stage))
    if "Above that rate" in headline:
        assert any(stage.target_rps > highest for stage in stages if not holds(stage))


@pytest.mark.parametrize("kind", ["timeout", "bad_status"])
def test_one_lost_request_of_few_is_named_wherever_the_rate_seems_achieved(kind):
    made = mixed_trial(0, "100 RPS", search=Offered(199, 199, 1.0), order=Offered(1, 1, 1.0))
    first, *others = made.load.seconds
    lost = {"succeeded": 0, "completed": 0, "duration": first.tls, "response_time": first.tls}
    lost |= {"failures": {kind: 1}}
    order = replace(first.parts["order"], **lost)
    whole = {name: value for name, value in lost.items() if name == "failures"}
    first = replace(first, succeeded=199, completed=199, parts=first.parts | {"order": order}, **whole)
    made = replace(made, load=replace(made.load, seconds=(first, *others)))
    results = results_of(made, spec=SPEC)
    (configuration,) = results.configurations
    (stage,) = configuration.stages

    assert stage.achieved >= 0.99
    assert stage.verdict.code is not Limit.WITHIN_CAPACITY
    assert stage.status is StageStatus.COMPLETE
    reason = "but 25 % of requests order failed or were dropped"
    assert throughput(results).title.endswith(reason)
    assert reason in " ".join(analysis(configuration.stages))
    assert "No offered rate was sustained" in conclusion([configuration])
    assert "Every offered rate" not in render_markdown(results)
