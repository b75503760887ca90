"""Stages of a comparison with the same reason are one line."""

from __future__ import annotations

from runner.core.comparison import LeftOut
from runner.report.alike import alike
from runner.report.markdown_text import unmarked


def left_out(repeat, why):
    return LeftOut("head", "app", "100 RPS", why, repeat=repeat)


def test_reasons_that_differ_in_their_figures_are_one_line():
    stages = [left_out(repeat, f"the generator was {repeat}.5 ms late") for repeat in range(1, 7)]

    (group,) = alike([*stages])

    assert unmarked(group.places).endswith("repeat 4 (head) and 2 more stages")
    assert group.why == "the generator was 1.5 ms late"
    assert group.remark == " The figures are those of the first."


def test_equal_reasons_need_no_remark_and_others_stay_apart():
    first, second = alike([left_out(1, "late"), left_out(2, "late"), left_out(3, "a worker died")])

    assert (first.remark, first.several) == ("", True)
    assert (second.why, second.several) == ("a worker died", False)
