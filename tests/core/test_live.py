"""Records of a run in progress are read back as they were written, and nothing else is read."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.live import (
    MAX_LINE,
    MAX_NOTE,
    LiveRecord,
    LoadEnds,
    Note,
    PartSecond,
    PlannedTrial,
    Probe,
    RunBegins,
    RunEnds,
    Second,
    TrialBegins,
    TrialEnds,
    TrialsPlanned,
    decode_live,
    encode_live,
    shortened,
)
from runner.core.live_ends import P95, PartEnds, ScenariosEnd

_TEXTS = st.text(max_size=40)
_FLOATS = st.floats(0, 1e9)
_COUNTS = st.dictionaries(_TEXTS, st.integers(0, 10**15), max_size=3)
_NUMBERS = st.integers(0, 10**6)
_MAYBE = st.none() | _FLOATS
_LENGTHS = st.floats(0, 1e6)
_PLANNED = st.builds(
    PlannedTrial, _NUMBERS, _TEXTS, _TEXTS, _TEXTS, _LENGTHS, _LENGTHS, st.booleans(), _NUMBERS, _TEXTS
)
_PLAN = st.lists(_PLANNED, max_size=3).map(tuple)
_PART = st.builds(PartSecond, _FLOATS, _NUMBERS, _NUMBERS, _MAYBE, _COUNTS)
_P95 = st.builds(
    P95,
    st.sampled_from(["response_time", "duration", "scenario_duration"]),
    _MAYBE,
    st.sampled_from([None, "lost", "range", "slices"]),
)
_PART_ENDS = st.builds(PartEnds, _NUMBERS, _COUNTS, _MAYBE, _P95)
_NOTES = st.lists(_TEXTS, max_size=3).map(tuple)
_RECORDS = {
    RunBegins: st.builds(
        RunBegins, _TEXTS, _TEXTS, _TEXTS, _NUMBERS, _NUMBERS, _TEXTS, _NUMBERS, _PLAN, _NUMBERS,
        st.booleans(), _NUMBERS,
    ),
    TrialsPlanned: st.builds(TrialsPlanned, _FLOATS, _PLAN, _NUMBERS),
    TrialBegins: st.builds(
        TrialBegins, _FLOATS, _NUMBERS, _NUMBERS, _TEXTS, _TEXTS, _TEXTS, _LENGTHS, _LENGTHS,
        st.sampled_from(["open", "closed", "scenarios"]), _NUMBERS, st.booleans(),
    ),
    Second: st.builds(
        Second, _FLOATS, st.floats(-1e6, 1e6), _FLOATS, _MAYBE, _MAYBE, _NUMBERS, _NUMBERS, _MAYBE, _MAYBE,
        _MAYBE, _COUNTS, st.none() | _NUMBERS, st.none() | _NUMBERS, st.none() | _NUMBERS,
        st.dictionaries(_TEXTS, _FLOATS, max_size=3), _COUNTS, st.dictionaries(_TEXTS, _PART, max_size=3),
        _NUMBERS, _NUMBERS, _COUNTS, _MAYBE,
    ),
    Note: st.builds(Note, _FLOATS, _TEXTS),
    Probe: st.builds(
        Probe, _FLOATS, _NUMBERS, _TEXTS, _TEXTS, _FLOATS, st.none() | st.booleans(), _TEXTS, _TEXTS, _MAYBE
    ),
    TrialEnds: st.builds(
        TrialEnds, _FLOATS, _NUMBERS, st.sampled_from(["complete", "failed", "aborted"]), _NUMBERS, _NUMBERS,
        _MAYBE, _P95, _NOTES, _COUNTS, st.dictionaries(_TEXTS, _PART_ENDS, max_size=3),
        st.none() | st.builds(ScenariosEnd, _NUMBERS, _NUMBERS, _MAYBE, _P95),
    ),
    LoadEnds: st.builds(LoadEnds, _FLOATS),
    RunEnds: st.builds(RunEnds, _FLOATS, st.sampled_from(["complete", "aborted", "failed"]), _TEXTS),
}  # fmt: skip


def test_every_kind_of_record_is_tested() -> None:
    assert set(_RECORDS) == set(get_args(LiveRecord))


@given(st.one_of(*_RECORDS.values()))
def test_a_record_is_one_line_and_is_read_back_as_it_was(record: LiveRecord) -> None:
    line = encode_live(record)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode_live(line) == record


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"type": "other", "at_s": 1}',
        b'{"type": "note", "at_s": 1, "text": "half',
        b'{"type": "note", "at_s": "now", "text": ""}',
        b'{"type": "note", "at_s": 1e300, "text": ""}',
        b'{"type": "second", "at_s": 1, "t_s": 1, "rps": NaN}',
        b'{"type": "second", "at_s": 1, "t_s": 1, "rps": 1, "offered": -1}',
        b'{"type": "trial_end", "at_s": 1, "number": 1, "status": "<script>"}',
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"type": "note", "at_s": 1, "text": "' + b"x" * (MAX_NOTE + 1) + b'"}',
        b'{"type": "note", "at_s": 1, "text": "x", "more": "' + b"x" * MAX_LINE + b'"}',
    ],
)
def test_a_line_that_is_no_record_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):
        decode_live(line)


@given(st.text(max_size=3 * MAX_NOTE))
def test_a_long_text_is_shortened_to_what_a_note_takes(text: str) -> None:
    note = Note(1.0, shortened(text))
    assert decode_live(encode_live(note)) == note
    assert len(text) > MAX_NOTE or note.text == text
