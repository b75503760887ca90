import json
from dataclasses import replace

import pytest
from tests.store.test_journal import RUN, TRIAL

from runner.core.errors import StoredRunError
from runner.store.journal import Journal
from runner.store.run_file import Begun, other_host, parse_begun, read_earlier, relative

BEGUN = Begun(RUN, "../experiments", configurations=("a",), stages=("100 RPS",), calibrate=False)


def test_what_was_written_is_read_back_exactly():
    assert parse_begun(BEGUN.as_json(), "run.json") == BEGUN


def test_the_base_of_relative_paths_says_nothing_about_the_machine(tmp_path):
    base, run = tmp_path / "experiments", tmp_path / "reports" / "run"

    assert relative(base, run) == "../../experiments"


def test_of_a_trial_that_was_run_twice_the_later_one_counts(tmp_path):
    (tmp_path / "run.json").write_bytes(BEGUN.as_json())
    journal = Journal(tmp_path / "journal.ndjson")
    whole = replace(TRIAL, status="complete")
    journal.append(RUN, replace(TRIAL, status="aborted"))
    journal.append(RUN, whole)
    journal.append(RUN, replace(TRIAL, order=1, status="failed"))

    earlier = read_earlier(tmp_path)

    assert earlier.trials == (whole,)
    assert earlier.lines == 3


def test_a_run_without_a_journal_has_done_nothing_yet(tmp_path):
    (tmp_path / "run.json").write_bytes(BEGUN.as_json())

    assert read_earlier(tmp_path).trials == ()


def test_only_what_makes_numbers_incomparable_is_another_host():
    here = dict(RUN.environment) | {"kernel": "another", "load_average_1m": 9.0}

    assert other_host(BEGUN, here) == []
    assert other_host(BEGUN, here | {"cpu_count": 64}) == ["cpu count: then 2, now 64"]


@pytest.mark.parametrize("change", [{"schema_version": 2}, {"run": 3}, {"run": None}])
def test_a_file_that_was_changed_is_refused(change):
    with pytest.raises(StoredRunError):
        parse_begun(json.dumps(json.loads(BEGUN.as_json()) | change).encode(), "run.json")
