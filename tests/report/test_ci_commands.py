"""A report that is printed in the log of a CI system gives it no command."""

import re

import pytest
from msgspec.structs import replace

from runner.report.markdown import render_markdown
from runner.report.markdown_text import block, escape
from tests.report.stored_results import stored

COMMAND = re.compile(r"(?m)^\s*::|##\[|##vso\[|##teamcity\[")
TEXTS = ("::error::stolen", "  ::add-mask::x", "##[error]stolen", "##vso[task.complete]", "##teamcity[x]")


@pytest.mark.parametrize("text", TEXTS)
def test_neither_a_paragraph_nor_a_block_of_code_is_a_command(text):
    assert COMMAND.search(text)
    assert not COMMAND.search(escape(text))
    assert not COMMAND.search(block(["first", text, "last"]))


@pytest.mark.parametrize("text", TEXTS)
def test_an_objective_or_a_command_line_of_a_stranger_is_none(text):
    results = stored("quickstart")
    results = replace(
        results,
        experiment=replace(results.experiment, objective=text, title=text),
        run=replace(results.run, command=f"runner execute x\n{text}"),
    )

    assert not COMMAND.search(render_markdown(results))


@pytest.mark.parametrize("text", ["http://[::1]:80", "a :: b", "std::string", "# 1"])
def test_other_colons_and_hashes_stay(text):
    assert block([text]).splitlines()[1] == text
