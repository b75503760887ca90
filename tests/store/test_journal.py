import json
from dataclasses import replace

import pytest

from runner.core import histogram
from runner.core.errors import OutputError, StoredRunError
from runner.core.facts import (
    Event,
    LoadFacts,
    LoadSecond,
    ObservedFacts,
    Role,
    RunFacts,
    Sample,
    Subject,
    TrialFacts,
)
from runner.store.journal import Entry, Journal, read

RUN = RunFacts(
    run_id="20260102T030405Z-00000000",
    started_at="2026-01-02T03:04:05+00:00",
    finished_at=None,
    command="runner execute spec.yaml",
    overrides=("stages[0].rps=10",),
    status="complete",
    signal=None,
    environment={"cpu_count": 2, "governor": None},
)
LATENCY = histogram.of([1_000, 2_500_000, 70_000_000_000])
TRIAL = TrialFacts(
    configuration="direct",
    stage="100 RPS",
    repeat=1,
    order=0,
    started_at="2026-01-02T03:04:06+00:00",
    target_rps=100,
    warmup_s=1.0,
    window_s=4.0,
    status="failed",
    load=LoadFacts(
        engine="builtin",
        workers=1,
        planned=400,
        seconds=(
            LoadSecond(index=-1, completed=3),
            LoadSecond(
                index=0,
                scheduled=5,
                sent=4,
                succeeded=3,
                dropped=1,
                failures={"timeout": 1},
                completed=3,
                in_flight=1,
                duration=LATENCY,
                cpu_s=0.25,
            ),
        ),
        complete=False,
        clock="the kernel's",
    ),
    observed=ObservedFacts(
        subjects=(Subject("app", Role.APP, "tree", 12, 345),),
        samples=(Sample(-1.0, {"app": 0.5}, {"app": 1024}),),
    ),
    events=(Event("app-died", "the app exited with status 1", t_s=0.7, log=("boom",)),),
    topology={"kind": "process", "command": ["app", "--port", "1"]},
)


def test_what_was_appended_is_read_back_exactly(tmp_path):
    journal = Journal(tmp_path / "journal.ndjson")

    journal.append(RUN, TRIAL)
    journal.append(RUN, replace(TRIAL, order=1, load=None, observed=None))

    assert read(journal.path) == [
        Entry(RUN, TRIAL),
        Entry(RUN, replace(TRIAL, order=1, load=None, observed=None)),
    ]


def test_a_trial_is_one_line(tmp_path):
    journal = Journal(tmp_path / "journal.ndjson")

    journal.append(RUN, TRIAL)

    assert journal.path.read_text().count("\n") == 1


@pytest.mark.parametrize("keep", [1, 20, -2])
def test_a_last_line_cut_off_by_a_crash_is_left_out(tmp_path, keep):
    journal = Journal(tmp_path / "journal.ndjson")
    journal.append(RUN, TRIAL)
    line = journal.path.read_text()
    journal.path.write_text(line + line[:keep])

    assert read(journal.path) == [Entry(RUN, TRIAL)]


def test_a_damaged_line_before_the_last_is_an_error_that_names_it(tmp_path):
    journal = Journal(tmp_path / "journal.ndjson")
    journal.append(RUN, TRIAL)
    journal.path.write_text('{"schema_version":1}\n' + journal.path.read_text())

    with pytest.raises(StoredRunError, match="line 1"):
        read(journal.path)


def test_a_newer_journal_is_refused_even_in_its_last_line(tmp_path):
    journal = Journal(tmp_path / "journal.ndjson")
    journal.append(RUN, TRIAL)
    newer = json.loads(journal.path.read_text()) | {"schema_version": 2}
    journal.path.write_text(json.dumps(newer) + "\n")

    with pytest.raises(StoredRunError, match="schema version 2"):
        read(journal.path)


def test_a_journal_that_cannot_be_written_says_what_to_do(tmp_path):
    with pytest.raises(OutputError) as caught:
        Journal(tmp_path / "gone" / "journal.ndjson").append(RUN, TRIAL)

    assert "No such file" in caught.value.message
    assert "--out" in caught.value.hint


@pytest.mark.parametrize("keep", [1, 40, -2])
def test_a_mended_journal_takes_new_lines_behind_the_whole_ones(tmp_path, keep):
    journal = Journal(tmp_path / "journal.ndjson")
    journal.append(RUN, TRIAL)
    whole = journal.path.read_bytes()
    journal.append(RUN, replace(TRIAL, order=1))
    half = journal.path.read_bytes()[len(whole) :][:keep]
    journal.path.write_bytes(whole + half)

    journal.mend(len(read(journal.path)))
    journal.append(RUN, replace(TRIAL, order=2))

    assert [entry.trial.order for entry in read(journal.path)] == [0, 2]


def test_a_last_line_without_its_end_is_kept_and_gets_one(tmp_path):
    journal = Journal(tmp_path / "journal.ndjson")
    journal.append(RUN, TRIAL)
    journal.path.write_bytes(journal.path.read_bytes()[:-1])

    journal.mend(len(read(journal.path)))
    journal.append(RUN, replace(TRIAL, order=1))

    assert [entry.trial.order for entry in read(journal.path)] == [0, 1]
