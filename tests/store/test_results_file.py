"""Results are read back as they were stored, or the reader says what is wrong with them and where."""

import copy
import json
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest

from runner.core.errors import StoredRunError
from runner.core.results import Results
from runner.publish.comment import Draft
from runner.report.charts.render import charts
from runner.report.csv_table import render_csv
from runner.report.junit import render_junit
from runner.report.page.render import render_page
from runner.store.results_file import encode_results, parse_results, read_results
from tests.analyze.facts import BUSY, HEALTHY, OVERLOADED, RUN, results_of
from tests.store.results_places import RESULTS as STORED
from tests.store.results_places import changed as changed_at
from tests.store.results_places import documents, fields, places

TYPED = results_of(HEALTHY, BUSY, OVERLOADED, run=RUN)
RESULTS = json.loads(encode_results(TYPED))
FILE = Path("results.json")


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


def render(results: Results) -> None:
    """Renders everything that is made from stored results; none of it may fail."""
    assert render_page(results).encode()  # its lower part is the whole report, rendered as Markdown
    assert charts(results) is not None
    assert Draft(results, baseline=results).render(65_536).encode()
    assert render_csv(results).encode()
    ET.fromstring(render_junit(results))


def test_results_are_read_back_from_the_folder_or_the_file(tmp_path):
    stored(tmp_path, encode_results(TYPED).decode())

    assert encode_results(read_results(tmp_path)) == encode_results(
        parse_results(encode_results(TYPED), FILE)
    )
    assert read_results(tmp_path / "results.json") == TYPED


@pytest.mark.parametrize("name", ["app-server", "docker-4k", "single-process"])
def test_the_committed_reports_can_be_read(name):
    assert read_results(Path("reports") / name).schema_version == 1


@pytest.mark.parametrize("file", sorted(STORED.glob("*.json")), ids=lambda file: file.stem)
def test_results_of_older_versions_can_be_read_and_rendered(file):
    render(read_results(file))


def test_an_older_run_without_newer_keys_is_read(tmp_path):
    results = copy.deepcopy(RESULTS)
    for stage in results["configurations"][0]["stages"]:
        del stage["tls_ms"], stage["throttling_by_subject"]

    assert read_results(stored(tmp_path, results)) == TYPED


def test_large_results_are_decoded_about_as_fast_as_json_without_types():
    content = Path("reports/replicas-usl/results.json").read_bytes()

    def seconds(decode, *more) -> float:
        start = time.process_time()
        decode(content, *more)
        return time.process_time() - start

    assert len(content) > 1_500_000
    both = [(seconds(parse_results, FILE), seconds(json.loads)) for _ in range(9)]
    typed_s, untyped_s = map(min, zip(*both, strict=True))
    assert typed_s < 2 * untyped_s


def test_errors_distinguish_no_folder_an_empty_folder_and_a_killed_run(tmp_path):
    assert "there is no run at" in refused(tmp_path / "none").message
    assert "is no run folder" in refused(tmp_path).message
    (tmp_path / "journal.ndjson").write_text("{}\n")
    assert "never ended" in refused(tmp_path).message


def test_the_hint_for_a_newer_schema_is_to_update(tmp_path):
    error = refused(stored(tmp_path, RESULTS | {"schema_version": 2}))

    assert "newer version of Loadproof (schema version 2" in error.message
    assert error.hint == "update Loadproof and try again"


TEXT = json.dumps(RESULTS)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (TEXT[:-200], "line 1, column"),
        ("[" * 100_000, "nested too deeply"),
        (TEXT.replace('"configurations": [', '"configurations": [' + "[" * 100_000), "nested too deeply"),
        ('{"schema_version": NaN}', "NaN is no number"),
        (TEXT.replace('"achieved": ', '"achieved": -Infinity, "x": ', 1), "-Infinity is no number"),
        ('{"schema_version": ' + "9" * 5000 + "}", "cannot be read"),
        (TEXT.replace('"achieved": ', '"achieved": 1e999, "x": ', 1), "out of range"),
        (TEXT.replace('"title": "', '"title": "\\ud800', 1), "surrogate"),
        (TEXT.replace('"title": "', '"title": "\x00', 1), "Invalid control character"),
        ("[]", "is no run"),
        ("null", "is no run"),
        ("{}", "no schema_version"),
        ('{"schema_version": true}', "schema_version is no whole number from 1 on"),
        ('{"schema_version": 1.0}', "schema_version is no whole number from 1 on"),
        ('{"schema_version": 0}', "schema_version is no whole number from 1 on"),
        ('{"schema_version": 1}', "does not contain the results"),
    ],
    ids=[
        "cut", "deep", "deep-inside", "nan", "infinity", "long-number", "huge", "surrogate", "control",
        "list", "null", "empty", "flag", "float", "zero", "bare",
    ],
)  # fmt: skip
def test_damaged_files_are_refused_with_a_reason(tmp_path, text, says):
    assert says in refused(stored(tmp_path, text)).message


@pytest.mark.parametrize("content", [b"\xff\xfe{}", b'{"schema_version": 1, "x": "\xed\xa0\x80"}'])
def test_bytes_that_are_not_utf8_are_refused(tmp_path, content):
    (tmp_path / "results.json").write_bytes(content)

    assert "not UTF-8" in refused(tmp_path).message


def test_the_last_value_of_a_duplicate_key_counts_and_is_checked(tmp_path):
    results = json.dumps(RESULTS)
    again = results.replace('"run": {', '"run": 5, "run": {', 1)
    malformed = results.replace('"experiment": {', '"experiment": {"name": "a", "title": 5, ', 1)

    assert read_results(stored(tmp_path, again)) == TYPED
    assert read_results(stored(tmp_path, malformed)) == TYPED
    assert refused(stored(tmp_path, results[:-1] + ', "run": 5}')).details == (
        "run: expected object, got int",
    )


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (
            "experiment.name",
            "x --> <b>",
            "experiment.name: it contains characters that are not allowed here",
        ),
        ("run.status", None, "run.status: expected str, got null"),
        ("configurations", [], "configurations: Expected `array` of length >= 1"),
        (
            "configurations.0.stages.0.actual_rps",
            "many",
            "stages[0].actual_rps: expected float | null, got str",
        ),
        ("configurations.0.stages.0.duration_ms.p95", 1e16, "p95: Expected `float` <= 1"),
        ("configurations.0.stages.0.requests.sent", -1, "requests.sent: Expected `int` >= 0"),
        ("configurations.0.stages.0.requests.sent", 10**400, "requests.sent"),
        ("configurations.0.stages.0.thresholds", {}, "thresholds: expected array, got object"),
        ("configurations.0.stages.0.verdict.code", "@all", "verdict.code: it is not one of the known values"),
        ("configurations.0.stages.0.verdict.withdrawn", "<img>", "withdrawn: it is not one of the known"),
        ("configurations.0.stages.0.requests.failures", {"|<img>": 1}, "a key in configurations[0]"),
        ("configurations.0.topology.command", 5, "topology.command: expected array | null, got int"),
        ("configurations.0.title", "x" * 100_001, "configurations[0].title: the text is too long"),
        ("configurations.0.hypothesis", {"expected": "@all"}, "hypothesis.expected: it is not one of"),
    ],
)
def test_the_error_names_the_edited_place(tmp_path, path, value, says):
    error = refused(stored(tmp_path, changed(path, value)))

    assert "does not contain the results of a run" in error.message
    assert says in "\n".join(error.details)
    assert "@all" not in str(error.details)
    assert "<" not in str(error.details).replace("<= 1", "")


@pytest.mark.parametrize("key", ["x\n::error::pwned", "\x1b[31m", "a" * 10_000])
def test_the_error_does_not_contain_a_hostile_key(tmp_path, key):
    results = changed("configurations.0.stages.0.cpu_cores", {key: {"avg": "no"}})

    error = refused(stored(tmp_path, results))

    assert len(error.details) == 1
    assert error.details[0].isprintable()
    assert len(error.details[0]) <= 200
    assert "pwned" not in error.details[0]


@pytest.mark.parametrize("name", ["target_rps", "actual_rps"])
def test_no_rate_is_negative(tmp_path, name):
    results = changed(f"configurations.0.stages.0.{name}", -5)

    assert refused(stored(tmp_path, results)).details == (
        f"configurations[0].stages[0].{name}: it is negative",
    )


def test_an_invalid_stage_must_have_a_reason(tmp_path):
    results = changed("configurations.0.stages.0.validity", {"status": "invalid", "reasons": []})

    assert refused(stored(tmp_path, results)).details == (
        "configurations[0].stages[0].validity: it is invalid without a reason",
    )


def test_many_contradictions_are_not_all_listed(tmp_path):
    results = copy.deepcopy(RESULTS)
    stage = results["configurations"][0]["stages"][0] | {"validity": {"status": "invalid", "reasons": []}}
    results["configurations"][0]["stages"] = [stage] * 50

    assert len(refused(stored(tmp_path, results)).details) == 8


def test_every_field_of_every_type_has_a_place():
    assert {(place.owner, place.field) for place in places()} == set(fields())


HOSTILE = "\x00\x1b[31m<script>alert(1)</script>@you|`x`\n::error::/close ]]> \u202e --> www.evil.example #1"
JUNK = [
    None, "", HOSTILE, -1, 0, 1.5, 1e15, 1e17, 10**400, True, [], [None], {}, {"a": {}}, {HOSTILE: HOSTILE},
]  # fmt: skip
OWNERS = sorted({place.owner for place in places()})


@pytest.mark.parametrize("owner", OWNERS)
def test_a_value_of_another_type_is_refused_with_its_place_or_can_be_rendered(owner):
    for place in places():
        if place.owner != owner:
            continue
        for value in JUNK:
            try:
                results = parse_results(json.dumps(changed_at(place, value)).encode(), FILE)
            except StoredRunError as error:
                names_it(error, place)
            else:
                rendered(results, place, value)


@pytest.mark.parametrize("owner", OWNERS)
def test_a_missing_key_is_refused_with_its_place_or_can_be_rendered(owner):
    for place in places():
        if place.owner != owner:
            continue
        try:
            results = parse_results(json.dumps(changed_at(place)).encode(), FILE)
        except StoredRunError as error:
            names_it(error, place)
        else:
            rendered(results, place, "nothing")


def names_it(error: StoredRunError, place) -> None:
    words = f"{error.message} {' '.join(error.details)}"
    assert place.field in words.replace("schema version", "schema_version"), (place, words)
    assert words.isprintable()
    assert "<" not in words.replace("<=", "")
    assert "@you" not in words


def rendered(results: Results, place, value) -> None:
    try:
        render(results)
    except Exception as error:
        error.add_note(f"{place.owner}.{place.field} at {place.shown} was {value!r}")
        raise


@pytest.mark.parametrize("number", range(len(documents())))
def test_the_unchanged_documents_can_be_read_and_rendered(number):
    content = json.dumps(documents()[number]).encode()

    results = parse_results(content, FILE)
    render(results)
    assert parse_results(encode_results(results), FILE) == results
    assert msgspec.convert(json.loads(encode_results(results)), Results) == results
