"""Stages of a comparison with the same reason are one line."""

from __future__ import annotations

from runner.core.codes import DoubtCode
from runner.core.comparison import LeftOut
from runner.core.judgements import Doubt
from runner.report.alike import alike
from runner.report.markdown_text import unmarked


def left_out(repeat, why, *doubts):
    return LeftOut("head", "app", "100 RPS", why, repeat=repeat, doubts=doubts)


def test_reasons_that_differ_in_their_figures_are_one_line():
    late = Doubt(DoubtCode.GENERATOR_LATE, ("p95",))
    stages = [left_out(repeat, f"the generator was {repeat}.5 ms late", late) for repeat in range(1, 7)]

    (group,) = alike(stages)

    assert unmarked(group.places).endswith("repeat 4 (head) and 2 more stages")
    assert group.why == "the generator was 1.5 ms late"
    assert group.remark == " The figures are those of the first."


def test_a_reason_about_another_machine_is_another_line():
    stages = [
        left_out(number, f"node-{number} had no CPU left", Doubt(DoubtCode.DISTURBED, (f"node-{number}",)))
        for number in (1, 2)
    ]

    assert [group.why for group in alike(stages)] == ["node-1 had no CPU left", "node-2 had no CPU left"]


def test_a_text_is_not_read_for_what_it_means():
    one, two = alike([left_out(1, "1.5 ms late"), left_out(2, "2.5 ms late")])

    assert (one.several, two.several) == (False, False), "without a code, nothing says that they are alike"


def test_equal_reasons_need_no_remark_and_others_stay_apart():
    first, second = alike([left_out(1, "late"), left_out(2, "late"), left_out(3, "a worker died")])

    assert (first.remark, first.several) == ("", True)
    assert (second.why, second.several) == ("a worker died", False)


def test_the_names_of_programs_on_this_host_make_no_other_line():
    busy = [Doubt(DoubtCode.DISTURBED, ("", name)) for name in ("redis-server", "postgres")]
    stages = [
        left_out(number, f"program {number} used 0.5 cores", doubt) for number, doubt in enumerate(busy)
    ]

    (group,) = alike(stages)

    assert (group.several, group.remark) == (True, " The figures are those of the first.")
