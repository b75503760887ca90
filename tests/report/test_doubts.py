"""A stage has one sentence for all its doubts; stages with the same doubts share it."""

from __future__ import annotations

from msgspec.structs import replace

from runner.core.codes import DoubtCode, Validity
from runner.core.judgements import Doubt, StageValidity
from runner.report.doubts import doubtful, first_doubts, short_reasons
from runner.report.headline import headline
from runner.report.prose import warnings
from tests.report.stored_results import stored, with_stage

LATE = Doubt(DoubtCode.GENERATOR_LATE, ("p95",))
CONTRADICTS = Doubt(DoubtCode.CPU_CONTRADICTS)
PROGRAMS = Doubt(DoubtCode.DISTURBED, ("", "redis-server"))


def suspect(*reasons):
    texts, doubts = zip(*reasons, strict=True)
    disturbed = any(doubt.code is DoubtCode.DISTURBED for doubt in doubts)
    return StageValidity(Validity.SUSPECT, texts, disturbed=disturbed, doubts=doubts)


def stage_with(*reasons):
    return replace(stored("single-process").configurations[0].stages[0], validity=suspect(*reasons))


def test_a_stage_with_two_reasons_is_named_once():
    stage = stage_with(("the generator was 3 ms late", LATE), ("the CPU figures are doubtful", CONTRADICTS))
    text = "the generator was 3 ms late; the CPU figures are doubtful"

    assert first_doubts([("100 RPS", stage)], 2) == f"The results for 100 RPS are suspect: {text}"
    assert warnings([stage]) == [f"**The results for 100 RPS are suspect:** {text}."]
    results = stored("single-process")
    best = headline(results).stage
    place = results.configurations[0].stages.index(best)
    doubted = headline(with_stage(results, (0, place), validity=stage.validity))
    assert doubted.doubt == f"The results for {best.title} are suspect: {text}"


def test_stages_whose_reasons_differ_in_their_figures_share_a_sentence():
    one, other = (stage_with((f"the generator was {ms} ms late", LATE)) for ms in (3, 4))

    (group,) = doubtful([("100 RPS", one), ("200 RPS", other)])

    assert group.sentence() == (
        "The results for 100 RPS and 200 RPS are suspect: the generator was 3 ms late. "
        "The figures are those of 100 RPS"
    )


def test_other_programs_are_known_by_their_code_wherever_the_reason_stands():
    stage = stage_with(("redis-server used 0.5 cores", PROGRAMS), ("the generator was 3 ms late", LATE))

    assert short_reasons(stage) == [
        "programs outside the experiment used the processors", "the generator was 3 ms late",
    ]  # fmt: skip
