"""Problems are shown with their place, the line, a caret and a hint, from top to bottom."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.core.errors import Problem, SpecificationError
from runner.experiment.load import read_spec
from runner.experiment.problems import MAX_SHOWN
from tests.experiment.samples import MINIMAL, PROCESS, error, sole

GOLDEN = Path(__file__).parent / "golden"


def test_all_problems_are_shown_at_once_as_in_the_golden_file() -> None:
    with pytest.raises(SpecificationError) as caught:
        read_spec((GOLDEN / "many-problems.yaml").read_bytes(), source="many-problems.yaml")

    text = "\n".join([caught.value.message, *caught.value.problems]) + "\n"
    assert text == (GOLDEN / "many-problems.txt").read_text(encoding="utf-8")


def test_each_missing_key_is_reported_once() -> None:
    assert [position.path for position in error("titel: x\n").positions] == [
        "version",
        "name",
        "topology",
        "stages",
        "titel",
    ]


def test_a_problem_is_also_structured_data() -> None:
    refused = error(PROCESS.replace("connection: new", "conection: new"))

    assert refused.message == "spec.yaml: 1 problem"
    assert refused.details == refused.problems
    assert refused.positions == (
        Problem(8, 3, "load.conection", "unknown key", "did you mean 'connection'?"),
    )


def test_the_caret_is_under_the_value_after_wide_characters() -> None:
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


@pytest.mark.parametrize(
    "before", ["postgres://me:", "redis://:", "mysql:/me:", "a " * 10 + "postgres://me:"]
)
def test_the_password_of_a_url_is_not_shown_and_the_caret_stays(before: str) -> None:
    text = MINIMAL.replace("{rps: 10,", f'{{name: "{before}s3cret-p4ss@db/x", rps: x,')

    _, line, caret = sole(text).splitlines()
    assert "s3cr" not in line
    assert "p4ss" not in line
    assert line[caret.index("^")] == "x"


def test_a_tab_before_the_caret_does_not_shift_it() -> None:
    _, line, caret = sole(MINIMAL + 'load: {request: {headers: {X: "a\tb"}, method: x}}').splitlines()

    assert line[caret.index("^")] == "x"


def test_terminal_control_characters_are_never_shown() -> None:
    for raw in (b"a: \x1b[31mred\x1b[0m", b"a: \xc2\x9b31m", "name: \u202eevil".encode(), b'"a\\e[1m": 1\n'):
        text = "".join(error(raw).problems).replace("\n", "")
        assert text.isprintable(), text


def test_problems_after_the_first_fifty_are_only_counted() -> None:
    refused = error(MINIMAL + "\n".join(f"k{n}: 1" for n in range(200)))

    assert len(refused.problems) == MAX_SHOWN + 1
    assert refused.problems[-1] == "… and 150 more problems"
    assert len(refused.positions) == 200


def test_a_line_end_in_the_name_of_a_file_makes_no_line_of_its_own() -> None:
    with pytest.raises(SpecificationError) as caught:
        read_spec(b"version: 1\nname: [a]\n", source="a\n::error::b.yaml")

    assert all(not problem.partition(" ")[0].count("\n") for problem in caught.value.problems)
    assert caught.value.problems[0].startswith("a\N{REPLACEMENT CHARACTER}::error::b.yaml:")
