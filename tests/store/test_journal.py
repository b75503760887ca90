import json

import msgspec
import pytest
from msgspec.structs import replace

from runner.core import histogram
from runner.core.codes import Role
from runner.core.errors import OutputError, StoredRunError
from runner.core.facts import Event, RunFacts, TrialFacts
from runner.core.load_facts import LoadFacts, LoadSecond
from runner.core.observed_facts import ObservedFacts, Sample, Subject
from runner.core.system_facts import SystemDescription
from runner.store.journal import Entry, Journal, parse, read

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
    topology=SystemDescription(kind="process", command=("app", "--port", "1")),
)


def test_appended_trials_are_read_back_exactly(tmp_path):
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
def test_a_last_line_that_a_crash_cut_off_is_ignored(tmp_path, keep):
    journal = Journal(tmp_path / "journal.ndjson")
    journal.append(RUN, TRIAL)
    line = journal.path.read_text()
    journal.path.write_text(line + line[:keep])

    assert read(journal.path) == [Entry(RUN, TRIAL)]


def test_an_error_names_a_damaged_line_before_the_last(tmp_path):
    journal = Journal(tmp_path / "journal.ndjson")
    journal.append(RUN, TRIAL)
    journal.path.write_text('{"schema_version":1}\n' + journal.path.read_text())

    with pytest.raises(StoredRunError, match="line 1"):
        read(journal.path)


def test_a_newer_journal_is_refused_even_if_only_its_last_line_is_newer(tmp_path):
    journal = Journal(tmp_path / "journal.ndjson")
    journal.append(RUN, TRIAL)
    newer = json.loads(journal.path.read_text()) | {"schema_version": 2}
    journal.path.write_text(json.dumps(newer) + "\n")

    with pytest.raises(StoredRunError, match="schema version 2"):
        read(journal.path)


def test_a_write_error_of_the_journal_has_a_hint(tmp_path):
    with pytest.raises(OutputError) as caught:
        Journal(tmp_path / "gone" / "journal.ndjson").append(RUN, TRIAL)

    assert "No such file" in caught.value.message
    assert "--out" in caught.value.hint


@pytest.mark.parametrize("keep", [1, 40, -2])
def test_new_lines_follow_the_complete_lines_of_a_repaired_journal(tmp_path, keep):
    journal = Journal(tmp_path / "journal.ndjson")
    journal.append(RUN, TRIAL)
    whole = journal.path.read_bytes()
    journal.append(RUN, replace(TRIAL, order=1))
    half = journal.path.read_bytes()[len(whole) :][:keep]
    journal.path.write_bytes(whole + half)

    journal.mend(len(read(journal.path)))
    journal.append(RUN, replace(TRIAL, order=2))

    assert [entry.trial.order for entry in read(journal.path)] == [0, 2]


def test_a_complete_last_line_without_a_newline_is_kept(tmp_path):
    journal = Journal(tmp_path / "journal.ndjson")
    journal.append(RUN, TRIAL)
    journal.path.write_bytes(journal.path.read_bytes()[:-1])

    journal.mend(len(read(journal.path)))
    journal.append(RUN, replace(TRIAL, order=1))

    assert [entry.trial.order for entry in read(journal.path)] == [0, 1]


def line_of(**load) -> bytes:
    """A journal line whose load is that of an older version."""
    stored = {"engine": "k6", "workers": 1, "planned": 1, "seconds": [], "complete": True, "clock": "its own"}
    trial = msgspec.to_builtins(replace(TRIAL, load=None)) | {"load": stored | load}
    return json.dumps({"schema_version": 1, "run": msgspec.to_builtins(RUN), "trial": trial}).encode()


@pytest.mark.parametrize(
    ("load", "version"),
    [
        ({"notes": ["slow", "offered by k6 v2.0.0 (commit/abc)"]}, "2.0.0"),
        ({"notes": ["offered by k6 v1.9.9"], "engine_version": "2.1.0"}, "2.1.0"),
        ({"notes": ["k6 fell behind"]}, ""),
        ({"engine": "builtin", "notes": ["offered by k6 v1.9.9"]}, ""),
    ],
    ids=["0.1.0", "now", "unknown", "another-engine"],
)
def test_the_version_of_k6_is_read_from_the_note_of_an_older_journal(load, version):
    [entry] = parse(line_of(**load), "journal.ndjson")

    assert entry.trial.load.engine_version == version


@pytest.mark.parametrize("line", [b"[" * 100_000, b"\xff\xfe", b'{"schema_version": 1, "run": "\\ud800"}'])
def test_the_error_for_any_damage_is_one_printable_line(line):
    with pytest.raises(StoredRunError) as caught:
        parse(line + b"\n" + line_of() + b"\n", "journal.ndjson")

    assert caught.value.message.startswith("journal.ndjson, line 1: ")
    assert caught.value.message.isprintable()
