"""The published JSON Schema of results.json is current, and describes what is stored."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from runner.store import results_schema as module
from runner.store.results_file import encode_results, read_results
from runner.store.results_schema import results_schema
from tests.store.results_places import RESULTS, places

SCHEMA = results_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
REPORTS = sorted(Path("reports").glob("*/journal.ndjson"))


def test_the_committed_copy_is_current():
    committed = Path(module.__file__).with_name("results.schema.json")

    assert json.loads(committed.read_bytes()) == SCHEMA, (
        f"run `runner schema --results > {committed}` and check what changed"
    )


def test_it_is_a_valid_schema_with_a_title_and_no_address():
    Draft202012Validator.check_schema(SCHEMA)

    assert SCHEMA["title"] == "results.json of Loadproof"
    assert "$id" not in SCHEMA


def test_types_and_attributes_are_described_by_their_docstrings():
    definitions = SCHEMA["$defs"]

    assert [name for name, definition in definitions.items() if not definition.get("description")] == []
    assert "Attributes:" not in json.dumps(SCHEMA)
    assert definitions["Stage"]["properties"]["repeat"]["description"] == "Counts from 1."
    assert definitions["Stage"]["properties"]["clock"]["description"].startswith("Which clock")


@pytest.mark.parametrize("journal", REPORTS, ids=lambda journal: journal.parent.name)
def test_the_committed_reports_are_valid(journal):
    assert errors(json.loads((journal.parent / "results.json").read_bytes())) == []


@pytest.mark.parametrize("name", ["docker-4k", "quickstart", "capacity"])
def test_results_of_older_versions_are_valid_after_reading(name):
    assert errors(json.loads(encode_results(read_results(RESULTS / f"{name}.json")))) == []


def test_results_that_the_reader_refuses_are_invalid():
    results = json.loads(Path("reports/quickstart/results.json").read_bytes())
    results["configurations"][0]["stages"][0]["verdict"]["code"] = "@all"
    del results["run"]["id"]

    assert len(errors(results)) == 2


def test_every_field_of_the_types_is_in_it():
    assert {
        (place.owner, place.field)
        for place in places()
        if place.field not in SCHEMA["$defs"][place.owner]["properties"]
    } == set()


def errors(results) -> list[str]:
    return [f"{error.json_path}: {error.message[:200]}" for error in VALIDATOR.iter_errors(results)]
