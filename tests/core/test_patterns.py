"""Regular expressions mean the same in every Python that is supported."""

import re
from pathlib import Path

import pytest

import runner
from runner.core.decoding import without_ignorable
from runner.core.text_views import Original

POSSESSIVE_GROUP = re.compile(r"\)(?:[*+?]|\{[0-9,]+\})\+|\(\?>")


def test_no_group_is_possessive():
    """Python before 3.11.5 matches a possessive group that can backtrack wrongly (gh-106052)."""
    modules = Path(runner.__file__).parent.rglob("*.py")

    assert [path.name for path in modules if POSSESSIVE_GROUP.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("end", [b"\x07", b"\x1b\\", b"\xc2\x9c"])
def test_a_sequence_ends_at_its_terminator_and_not_inside_a_character(end):
    text = b"se\x1b]8;;http://caf\xc3\xa9/\xe2\x80\x9c" + end + b"cret"

    assert without_ignorable(Original(text)).data == b"secret"


def test_a_sequence_without_an_end_is_text():
    assert without_ignorable(Original(b"se\x1b]0;title\x9ccret")).data == b"secret"
    assert b"0;" in without_ignorable(Original(b"se\x1b]0;\xe2\x80\x9ccret")).data
