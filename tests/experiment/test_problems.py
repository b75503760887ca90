"""Problems are shown with their place, the line, a caret and a hint, from top to bottom."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.core.errors import Problem, SpecificationError
from runner.experiment.load import read_spec
from runner.experiment.problems import MAX_SHOWN
from tests.experiment.samples import MINIMAL, PROCESS, error, sole

GOLDEN = Path(__file__).parent / "golden"


def test_many_problems_are_all_shown_at_once_as_in_the_golden_file() -> None:
    with pytest.raises(SpecificationError) as found:
        read_spec((GOLDEN / "many-problems.yaml").read_bytes(), source="many-problems.yaml")

    shown = "\n".join([found.value.message, *found.value.problems]) + "\n"
    assert shown == (GOLDEN / "many-problems.txt").read_text(encoding="utf-8")


def test_all_that_is_required_is_named_once() -> None:
    assert [position.path for position in error("titel: x\n").positions] == [
        "version",
        "name",
        "topology",
        "stages",
        "titel",
    ]


def test_a_problem_is_also_data_for_machines() -> None:
    found = error(PROCESS.replace("connection: new", "conection: new"))

    assert found.message == "spec.yaml: 1 problem"
    assert found.details == found.problems
    assert found.positions == (Problem(8, 3, "load.conection", "unknown key", "did you mean 'connection'?"),)


def test_the_caret_stands_under_the_value_behind_wide_letters() -> None:
    text = MINIMAL.replace("stages: [{rps: 10,", "stages: [{name: 大きさ, rps: x,")

    place, line, caret = sole(text).splitlines()
    assert place.startswith("spec.yaml:4:27: stages[0].rps")
    assert line == "  4 | stages: [{name: 大きさ, rps: x, duration: 1s}]"
    assert caret == "    |                              ^"


def test_a_long_line_is_cut_around_the_caret() -> None:
    text = MINIMAL.replace("{rps: 10,", "{name: " + "n" * 50 + ", " + " " * 200 + "rps: x, " + " " * 300)

    _, line, caret = sole(text).splitlines()
    assert len(line) < 120
    assert line.startswith("  4 | …")
    assert line.endswith("…")
    assert line[caret.index("^")] == "x"


def test_a_tab_before_the_caret_does_not_shift_it() -> None:
    _, line, caret = sole(MINIMAL + 'load: {request: {headers: {X: "a\tb"}, method: x}}').splitlines()

    assert line[caret.index("^")] == "x"


def test_what_a_terminal_would_act_on_is_never_shown() -> None:
    for raw in (b"a: \x1b[31mred\x1b[0m", b"a: \xc2\x9b31m", "name: \u202eevil".encode(), b'"a\\e[1m": 1\n'):
        shown = "".join(error(raw).problems).replace("\n", "")
        assert shown.isprintable(), shown


def test_more_problems_than_anyone_reads_are_counted() -> None:
    found = error(MINIMAL + "\n".join(f"k{n}: 1" for n in range(200)))

    assert len(found.problems) == MAX_SHOWN + 1
    assert found.problems[-1] == "… and 150 more problems"
    assert len(found.positions) == 200
