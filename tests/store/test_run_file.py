import json

import pytest
from msgspec.structs import replace

from runner.core.errors import StoredRunError
from runner.store.journal import Journal
from runner.store.run_file import RunFile, host_differences, parse_run_file, read_resume_point, relative
from tests.store.test_journal import RUN, TRIAL

RUN_FILE = RunFile(RUN, "../experiments", configurations=("a",), stages=("100 RPS",), calibrate=False)


def test_a_run_file_is_read_back_exactly():
    assert parse_run_file(RUN_FILE.to_json(), "run.json") == RUN_FILE


def test_the_schema_version_comes_first():
    assert next(iter(json.loads(RUN_FILE.to_json()).items())) == ("schema_version", 1)


def test_the_base_of_relative_paths_reveals_nothing_about_the_machine(tmp_path):
    base, run = tmp_path / "experiments", tmp_path / "reports" / "run"

    assert relative(base, run) == "../../experiments"


def test_the_later_run_of_a_trial_counts(tmp_path):
    (tmp_path / "run.json").write_bytes(RUN_FILE.to_json())
    journal = Journal(tmp_path / "journal.ndjson")
    whole = replace(TRIAL, status="complete")
    journal.append(RUN, replace(TRIAL, status="aborted"))
    journal.append(RUN, whole)
    journal.append(RUN, replace(TRIAL, order=1, status="failed"))

    point = read_resume_point(tmp_path)

    assert point.run_file == RUN_FILE
    assert point.trials == (whole,)
    assert point.lines == 3


def test_a_run_without_a_journal_has_no_complete_trials(tmp_path):
    (tmp_path / "run.json").write_bytes(RUN_FILE.to_json())

    assert read_resume_point(tmp_path).trials == ()


def test_only_properties_that_prevent_comparison_make_another_host():
    here = dict(RUN.environment) | {"kernel": "another", "load_average_1m": 9.0}

    assert host_differences(RUN_FILE, here) == []
    assert host_differences(RUN_FILE, here | {"cpu_count": 64}) == ["cpu count: then 2, now 64"]


@pytest.mark.parametrize("change", [{"schema_version": 2}, {"run": 3}, {"run": None}])
def test_a_malformed_run_file_is_refused(change):
    with pytest.raises(StoredRunError):
        parse_run_file(json.dumps(json.loads(RUN_FILE.to_json()) | change).encode(), "run.json")
