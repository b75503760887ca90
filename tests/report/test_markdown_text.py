"""Text in Markdown is shown as it is, and nothing in it is markup or an escape sequence."""

import pytest

from runner.report.markdown_text import block, code, escape


@pytest.mark.parametrize("control", ["\x00", "\x07", "\x1b", "\x7f", "\x9b", "\u202e", "\u2066", "\ud800"])
def test_nothing_that_a_terminal_obeys_is_left(control):
    text = f"red {control}[31m"

    for shown in (escape(text), code(text), block([text, text])):
        assert control not in shown
        assert "red \ufffd" in shown
    assert escape("caf\u00e9 \U0001f469\u200d\U0001f52c") == "caf\u00e9 \U0001f469\u200d\U0001f52c"
    assert "\tindented" in block(["\tindented"])
