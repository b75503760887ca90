"""Text of a run that a page would not show, or that would change how it reads, is made visible everywhere."""

import json
import re

import msgspec
import pytest
import trio

from runner.core.live import Note, RunBegins, encode_live
from runner.report.markdown_text import visible
from runner.report.page.markdown_html import text_page
from runner.report.page.render import render_page
from runner.serve.live_tail import LiveTail
from runner.serve.rendering import render
from runner.serve.visible_json import visible_json
from runner.store.live_file import own_process
from runner.store.run_names import LIVE
from tests.report.stored_results import stored, with_experiment

HIDDEN = "\x00\x08\x0b\x0c\r\x1b\x1f\x7f\x80\x85\x9f\u200e\u202a\u202e\u2066\u2069\ud800\udfff"
NONE_LEFT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def test_a_report_shows_them_as_replacement_characters():
    results = with_experiment(
        stored("single-process"), title=f"A{HIDDEN}title", objective=f"An{HIDDEN}objective"
    )

    page = render_page(results)

    shown = "\N{REPLACEMENT CHARACTER}" * len(HIDDEN)
    assert f"A{shown}title" in page
    assert not NONE_LEFT.search(page)


def test_so_do_comparisons_and_the_pages_of_the_web_application():
    values = {"heading": "h", "text": f"a{HIDDEN}b", "hint": "two\nlines", "details": (HIDDEN,), "run": None}
    pages = [text_page(f"t{HIDDEN}", f"x{HIDDEN}"), render("problem.html.j2", folder=HIDDEN, **values)]

    for page in pages:
        assert not NONE_LEFT.search(page)
    assert "two\nlines" in pages[1]


@pytest.mark.parametrize("text", [HIDDEN[:-2], '\\u001b \\\\u001b \\\\\x1b \\b \b /\t\n" é', "plain"])
def test_events_of_a_live_page_say_the_same_as_its_other_text(text):
    shown = json.loads(visible_json(msgspec.json.encode({text: [text]})))

    assert shown == {visible(text): [visible(text)]}


def test_a_note_of_a_run_in_progress_is_shown_so(tmp_path):
    begins = RunBegins("shop\u202e", "id", "2026-01-01T00:00:00+00:00", *own_process(), ())
    (tmp_path / LIVE).write_bytes(encode_live(begins) + encode_live(Note(1.0, "a\x1b[31mb")))
    tail = LiveTail(tmp_path, trio.lowlevel.checkpoint)

    trio.run(tail.refresh)

    (records,) = [event for event in tail.since(None) if b"shop" in event]
    begun, note = json.loads(records.rpartition(b"data: ")[2])
    assert begun["experiment"] == "shop\N{REPLACEMENT CHARACTER}"
    assert note["text"] == "a\N{REPLACEMENT CHARACTER}[31mb"
