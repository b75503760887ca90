"""Regular expressions match in linear time, or are refused."""

import time

import pytest

from runner.core.regex import compiled


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("order [0-9]+", "an order 17 here", True),
        ("^order", "an order", False),
        ("(?i)ORDER", "an order", True),
        (r"\bü\b", "ü", False),  # \b knows ASCII words only
        ("ü.", "über", True),
        ("a.b", "a\nb", False),
    ],
)
def test_a_pattern_matches_anywhere_in_utf8_text(pattern, text, matches):
    assert compiled(pattern)(text.encode()) is matches


def test_bytes_that_are_no_text_do_not_raise():
    assert compiled("a")(b"\xff\x00a\xfe")
    assert not compiled("b")(b"\xff\x00a\xfe")


@pytest.mark.parametrize("pattern", ["(", "(?=a)", r"(a)\1", "a{1,5000}", "((a{1,100}){1,100}){1,100}"])
def test_what_cannot_be_matched_in_bounded_time_is_refused(pattern, capfd):
    with pytest.raises(ValueError):
        compiled(pattern)
    assert capfd.readouterr().err == ""


def test_no_text_makes_a_pattern_slow():
    began = time.process_time()
    assert not compiled("(a+)+$")(b"a" * 1_000_000 + b"b")
    assert time.process_time() - began < 1
