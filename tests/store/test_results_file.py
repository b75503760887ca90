"""Results that were stored are read back, or the reader says what is wrong with them."""

import copy
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.core.errors import StoredRunError
from runner.report.markdown import render_markdown
from runner.store.results_file import _RESULTS, read_results
from runner.store.shape import Each, Many, Record
from tests.analyze.facts import BUSY, HEALTHY, OVERLOADED, RUN, results_of

RESULTS = results_of(HEALTHY, BUSY, OVERLOADED, run=RUN)


def stored(folder: Path, results) -> Path:
    text = results if isinstance(results, str) else json.dumps(results)
    (folder / "results.json").write_text(text)
    return folder


def refused(folder: Path) -> StoredRunError:
    with pytest.raises(StoredRunError) as caught:
        read_results(folder)
    return caught.value


def changed(path: str, value) -> dict:
    """The results with one place changed."""
    results = copy.deepcopy(RESULTS)
    place = results
    *steps, last = path.split(".")
    for step in steps:
        place = place[int(step) if step.isdecimal() else step]
    place[int(last) if last.isdecimal() else last] = value
    return results


def test_what_was_written_is_read_back_from_the_folder_or_the_file(tmp_path):
    stored(tmp_path, RESULTS)

    assert read_results(tmp_path) == RESULTS
    assert read_results(tmp_path / "results.json") == RESULTS


@pytest.mark.parametrize("name", ["app-server", "docker-4k", "single-process"])
def test_the_reports_that_are_kept_can_be_read(name):
    assert read_results(Path("reports") / name)["schema_version"] == 1


def test_an_older_run_without_newer_keys_is_read(tmp_path):
    results = copy.deepcopy(RESULTS)
    for stage in results["configurations"][0]["stages"]:
        del stage["tls_ms"], stage["throttling_by_subject"]

    assert read_results(stored(tmp_path, results)) == results


def test_no_folder_an_empty_folder_and_a_killed_run_are_told_apart(tmp_path):
    assert "there is no run at" in refused(tmp_path / "none").message
    assert "is no run folder" in refused(tmp_path).message
    (tmp_path / "journal.ndjson").write_text("{}\n")
    assert "never ended" in refused(tmp_path).message


def test_a_newer_schema_says_to_update(tmp_path):
    error = refused(stored(tmp_path, RESULTS | {"schema_version": 2}))

    assert "newer Loadproof (schema version 2" in error.message
    assert error.hint == "update Loadproof and try again"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (json.dumps(RESULTS)[:-200], "cannot be read"),
        ("[" * 100_000, "nested too deeply"),
        ('{"schema_version": NaN}', "NaN is no number"),
        ('{"schema_version": ' + "9" * 5000 + "}", "cannot be read"),
        ("[]", "is no run"),
        ("{}", "no schema_version"),
        ('{"schema_version": true}', "no schema_version"),
        ('{"schema_version": 1}', "shape"),
    ],
    ids=["cut", "deep", "nan", "long-number", "list", "empty", "flag", "bare"],
)
def test_damaged_files_are_refused_in_a_sentence(tmp_path, text, says):
    assert says in refused(stored(tmp_path, text)).message


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "results.json").write_bytes(b"\xff\xfe{}")

    assert "not UTF-8" in refused(tmp_path).message


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("experiment.name", "x --> <b>", "experiment.name: 'x --> <b>' was not expected here"),
        ("run.status", None, "run.status: text was expected, not null"),
        ("configurations", [], "configurations: it is empty"),
        ("configurations.0.stages.0.actual_rps", "many", "stages[0].actual_rps: a number was expected"),
        ("configurations.0.stages.0.duration_ms.p95", 1e999, "p95: a number was expected"),
        ("configurations.0.stages.0.thresholds", {}, "thresholds: a list was expected, not an object"),
        ("configurations.0.stages.0.verdict.code", "@all", "verdict.code: '@all' was not expected here"),
        ("configurations.0.stages.0.requests.failures", {"|<img>": 1}, "'|<img>' is no name"),
        ("configurations.0.topology.command", 5, "topology.command: text was expected, not a number"),
        ("configurations.0.title", "x" * 100_001, "longer than 100,000"),
    ],
)
def test_every_edited_place_is_named(tmp_path, path, value, says):
    text = json.dumps(changed(path, value)).replace("Infinity", "1e999")

    error = refused(stored(tmp_path, text))

    assert "shape" in error.message
    assert says in "\n".join(error.details)


def test_a_strangers_key_prints_no_line_of_its_own(tmp_path):
    results = changed("configurations.0.stages.0.cpu_cores", {"x\n::error::pwned": {"avg": "no"}})

    error = refused(stored(tmp_path, json.dumps(results)))

    assert [line for line in error.details if "\n" in line] == []
    assert len(error.details) == 1


def test_an_invalid_stage_must_say_why(tmp_path):
    results = changed("configurations.0.stages.0.validity", {"status": "invalid", "reasons": []})

    assert "it is invalid for no reason" in refused(stored(tmp_path, results)).details[0]


def test_many_faults_are_not_all_listed(tmp_path):
    assert len(refused(stored(tmp_path, {"schema_version": 1, "configurations": [{}] * 50})).details) == 9


def places(value, shape, path=()):
    """Every place that the shape knows; what it does not know is for its own renderer to check."""
    match shape:
        case Record():
            inner = [(key, each) for key, each in shape.keys.items() if value and key in value]
        case Each():
            inner = [(key, shape.but.get(key, shape.value)) for key in value]
        case Many():
            inner = [(index, shape.item) for index in range(len(value))]
        case _:
            inner = []
    for key, each in inner:
        yield ".".join(map(str, (*path, key)))
        yield from places(value[key], each, (*path, key))


PLACES = sorted(places(RESULTS, _RESULTS))
JUNK = st.sampled_from([None, "", "@you", "<b>", -1, 10**400, 1e17, 1.5, True, [], {}, [None], {"a": {}}])


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(place=st.sampled_from(PLACES), value=JUNK)
def test_whatever_is_let_through_can_be_rendered(tmp_path, place, value):
    try:
        read = read_results(stored(tmp_path, changed(place, value)))
    except StoredRunError:
        return
    assert render_markdown(read).startswith("# ")
