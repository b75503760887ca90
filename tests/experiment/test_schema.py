"""The JSON Schema is current, and agrees with the reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from jsonschema import Draft202012Validator

import runner.experiment
from runner.core.errors import SpecificationError
from runner.experiment.load import read_spec
from runner.experiment.reference import reference
from runner.experiment.schema import json_schema
from tests.experiment.samples import DESIGN, MINIMAL, PROCESS
from tests.experiment.test_load import SPECIFICATIONS, yaml_of

COMMITTED = Path(runner.experiment.__file__).with_name("schema.json")


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    return Draft202012Validator(json_schema())


def test_the_committed_schema_is_current() -> None:
    # To update it: runner schema > runner/experiment/schema.json
    assert json.loads(COMMITTED.read_text(encoding="utf-8")) == json_schema()


def test_the_schema_is_itself_valid() -> None:
    Draft202012Validator.check_schema(json_schema())


def test_the_design_sample_is_valid(validator: Draft202012Validator) -> None:
    validator.validate(yaml.safe_load(DESIGN))


LAYERED = PROCESS.replace("connection: new", "connection: new\n  timeout: 3s") + (
    "configurations:\n"
    "  - {name: a, load: {timeout: null}, topology: {app: {env: {A: 1}}}}\n"
    "  - {name: b, title: B, topology: {kind: external, url: 'http://a'}, cooldown: 0}\n"
)


@pytest.mark.parametrize("text", [MINIMAL, PROCESS, LAYERED])
def test_the_schema_accepts_what_the_reader_accepts(text: str, validator: Draft202012Validator) -> None:
    read_spec(text.encode(), source="s")
    validator.validate(yaml.safe_load(text))


@given(specification=SPECIFICATIONS)
def test_the_schema_accepts_every_specification_that_the_reader_accepts(
    validator: Draft202012Validator, specification: dict[str, Any]
) -> None:
    read_spec(yaml_of(specification), source="s")
    validator.validate(specification)


WRONG = [
    ("no version", MINIMAL.replace("version: 1\n", "")),
    ("another version", MINIMAL.replace("version: 1", "version: 2")),
    ("no topology", "version: 1\nname: a\nstages: [{rps: 1, duration: 1s}]\n"),
    ("no stages", MINIMAL[: MINIMAL.index("stages")]),
    ("an unknown key", MINIMAL + "foo: 1\n"),
    ("a bare time", MINIMAL.replace("1s", "1")),
    ("an unknown unit", MINIMAL.replace("1s", "1sec")),
    ("a rate of zero", MINIMAL.replace("rps: 10", "rps: 0")),
    ("a name with a blank", MINIMAL.replace("tiny", "a b")),
    (
        "a part that is incomplete without configurations",
        "version: 1\nname: a\ntopology: {kind: process}\nstages: [{rps: 1, duration: 1s}]\n",
    ),
    ("an unknown key deep down", PROCESS.replace("connection", "conection")),
    ("an unknown key in a configuration", LAYERED.replace("title: B", "tilte: B")),
    ("a configuration without a name", PROCESS + "configurations: [{load: {}}]"),
    ("a wrong value in a configuration", LAYERED.replace("cooldown: 0", "cooldown: 5")),
    ("an unknown metric", MINIMAL + "thresholds: [latency.p95 < 1s]\n"),
    ("a wrong choice", PROCESS.replace("connection: new", "connection: often")),
]


@pytest.mark.parametrize("text", [row[1] for row in WRONG], ids=[row[0] for row in WRONG])
def test_the_reader_refuses_what_the_schema_refuses(text: str, validator: Draft202012Validator) -> None:
    assert not validator.is_valid(yaml.safe_load(text))
    with pytest.raises(SpecificationError):
        read_spec(text.encode(), source="s")


def fields(schema: dict[str, Any], path: str = "") -> Any:
    for key, field in schema.get("properties", {}).items():
        yield f"{path}.{key}", field
    for name, definition in schema.get("$defs", {}).items():
        yield from fields(definition, name)


def test_every_field_is_described() -> None:
    schema = json_schema()

    assert [path for path, field in fields(schema) if not field.get("description")] == []
    assert [name for name, body in schema["$defs"].items() if not body.get("description")] == []


def test_defaults_have_the_form_of_the_file() -> None:
    load = json_schema()["$defs"]["Load"]["properties"]

    assert load["timeout"]["default"] == "10s"
    assert load["max_in_flight"]["default"] == 2000


def test_the_committed_reference_is_current() -> None:
    # To update it: runner schema --markdown > experiments/REFERENCE.md
    committed = Path(__file__).parents[2] / "experiments" / "REFERENCE.md"
    assert committed.read_text(encoding="utf-8") == reference()


def test_the_reference_has_every_key() -> None:
    page = reference()
    schema = json_schema()
    parts = [body for name, body in schema["$defs"].items() if not name.startswith("Partial")]
    keys = {key for part in [schema, *parts] for key in part.get("properties", {})}
    assert {key for key in keys if f"| {key} |" not in page and f"| **{key}** |" not in page} == set()
