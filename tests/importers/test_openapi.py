"""An OpenAPI document becomes a mix of its operations, or scenarios of the life of its things."""

import json

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.errors import UsageError
from runner.importers.openapi_document import Document
from runner.importers.recognise import draft_of
from runner.importers.schema_values import Values
from runner.importers.yaml_reader import read_yaml
from tests.importers.imported import FILES, Imported, imported


@pytest.fixture(scope="module")
def pets():
    return imported("petstore.yaml")


@pytest.fixture(scope="module")
def notes():
    return imported("notes-3.1.json")


def of(paths, **changes):
    return Imported(json.dumps({"openapi": "3.0.0", "info": {}, "paths": paths, **changes}).encode())


def operation(*parameters, **changes):
    return {"parameters": list(parameters), "responses": {"200": {}}, **changes}


def query(schema, **changes):
    return {"name": "q", "in": "query", "required": True, "schema": schema, **changes}


def names(scenario):
    return [step["request"]["name"] for step in scenario["steps"]]


def test_a_thing_is_created_read_changed_and_deleted_by_the_id_of_the_response(pets):
    pet = pets.load["scenarios"][0]

    assert names(pet) == [
        "create-pet",
        "list-pets",
        "post-pets-photo",
        "get-pet",
        "replace-pet",
        "delete-pet",
    ]
    assert pets.extract("create-pet") == {"pet_id": {"json": "$.id"}}
    assert pets.request("delete-pet")["path"] == "/v1/pets/${pet_id}"


def test_examples_defaults_and_enumerations_are_used_before_anything_is_generated(pets):
    assert pets.request("create-pet")["json"] == {
        "name": "Rex $${1}",
        "born": "2020-02-29",
        "price": 11,
        "kind": "cat",
    }
    assert pets.request("owners-id")["path"] == "/v1/owners/Ada%20Lovelace"
    assert pets.request("post-token")["form"] == {"grant_type": "client_credentials"}


def test_parameters_of_a_path_and_of_an_operation_are_sent_in_their_style(pets):
    listed = pets.request("list-pets")

    assert listed["query"] == {"limit": "20", "tags": "cat", "filter[age]": "3", "page": "1"}
    assert listed["headers"] == {"X-Tenant": "AAA-00", "X-Key": "${key}"}


def test_credentials_are_read_from_the_environment(pets, notes):
    assert pets.load["variables"] == {
        "key": {"env": "KEY"},
        "basic_credentials": {"env": "BASIC_CREDENTIALS"},
    }
    assert "headers" not in pets.request("owners-id")
    assert notes.request("users-notes-id")["headers"] == {"Authorization": "Bearer ${access_token}"}


def test_the_first_server_is_used_with_the_defaults_of_its_variables(pets):
    assert pets.draft.url == "https://eu.pets.example.com"
    assert pets.request("get-pet")["expect"] == {"status": ["2xx"]}
    assert pets.request("delete-pet")["expect"] == {"status": [204]}


def test_what_is_left_out_is_listed(pets):
    for words in (
        "deprecated: GET /old",
        "bodies of the type application/xml without an example: POST /soap",
        "methods that a specification does not have: TRACE /trace",
        "nothing that it could delete is created before: DELETE /owners/{name}",
        "references to other files or to nothing, which are not followed: https://evil.example/parameters.yaml#/x",
    ):
        assert words in pets.comments


def test_a_thing_of_a_list_is_read(notes):
    note = notes.load["scenarios"][0]

    assert names(note) == ["list-notes-notes-get", "read-note"]
    assert notes.extract("list-notes-notes-get") == {"note_id": {"json": "$.items[*].id", "pick": "random"}}
    assert "nothing that it could change is known: PATCH /notes/{note_id}" in notes.comments


def test_values_of_3_1_keywords(notes):
    assert notes.request("users-notes-id")["path"] == "/api/users/ada/notes/10"


def test_a_location_says_what_was_created():
    done = of(
        {
            "/jobs": {"post": {"responses": {"202": {"headers": {"Location": {}}}}}},
            "/jobs/{job}": {"get": operation()},
        }
    )

    (source,) = done.extract("post-jobs").values()
    assert source == {"header": "Location", "regex": "([^/?#]+)/?(?:[?#].*)?$"}


def test_without_things_it_is_a_mix():
    done = of(
        {"/a": {"get": operation()}, "/b": {"post": operation()}}, servers=[{"url": "http://h:1/base/"}]
    )

    assert [(one["name"], one["path"]) for one in done.load["requests"]] == [
        ("a", "/base/a"),
        ("post-b", "/base/b"),
    ]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "string"),
        ({"type": "string", "format": "email"}, "user@example.com"),
        ({"type": "string", "minLength": 8, "maxLength": 9}, "stringst"),
        ({"type": "string", "pattern": "^[0-9]{3}$"}, "000"),
        ({"type": "string", "pattern": "(?=x)"}, "string"),
        ({"type": "string", "pattern": "((a{100}){100}){100}"}, "string"),
        ({"type": "boolean"}, "true"),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, ["1", "1"]),
        ({"enum": [None, "b"]}, "b"),
        ({"$ref": "#/components/schemas/Loop"}, ""),
        ({"allOf": [{"$ref": "#/components/schemas/Loop"}, {"type": "integer", "minimum": 4}]}, "4"),
        ({"$ref": "#/nowhere"}, "string"),
        ({"$ref": "file:///etc/passwd"}, "string"),
        ({"type": "integer", "minimum": 1e308, "multipleOf": 1e-300}, str(int(1e308))),
        (7, "string"),
    ],
)
def test_a_value_is_made_for_any_schema(schema, value):
    loop = {"$ref": "#/components/schemas/Loop"}
    done = of({"/a": {"get": operation(query(schema))}}, components={"schemas": {"Loop": loop}})

    assert done.request("a")["query"] == {"q": value} or value == ""


def test_schemas_that_contain_themselves_end():
    tree = {"type": "object", "required": ["left", "right"]}
    tree["properties"] = {side: {"$ref": "#/components/schemas/Tree"} for side in ("left", "right")}
    any_ = {"anyOf": [{"$ref": "#/components/schemas/Any"}] * 20}
    body = {
        "content": {
            "application/json": {
                "schema": {"allOf": [{"$ref": f"#/components/schemas/{one}"} for one in ("Tree", "Any")]}
            }
        }
    }
    done = of(
        {"/a": {"post": operation(requestBody=body)}}, components={"schemas": {"Tree": tree, "Any": any_}}
    )

    assert set(done.request("post-a")) >= {"body"} or set(done.request("post-a")) >= {"json"}


_NUMBERS = st.fixed_dictionaries(
    {"type": st.sampled_from(["integer", "number"])},
    optional={
        "minimum": st.integers(-50, 0),
        "maximum": st.integers(5, 60),
        "exclusiveMinimum": st.integers(-60, 0),
    },
)
_STRINGS = st.fixed_dictionaries(
    {"type": st.just("string")},
    optional={
        "minLength": st.integers(0, 20),
        "maxLength": st.integers(20, 40),
        "enum": st.just(["a" * 20, "b" * 20]),
    },
)
_SINGLE = st.one_of(_NUMBERS, _STRINGS, st.just({"type": "boolean"}), st.just({"type": ["null", "string"]}))


def _composed(inner):
    properties = st.dictionaries(st.sampled_from("abc"), inner)
    return st.one_of(
        st.builds(
            lambda items, least: {"type": "array", "items": items, "minItems": least},
            inner,
            st.integers(0, 3),
        ),
        st.builds(
            lambda least: {
                "type": "array",
                "items": {"enum": ["b", "a", "b", "c"]},
                "minItems": least,
                "uniqueItems": True,
            },
            st.integers(0, 3),
        ),
        st.builds(
            lambda firsts: {"type": "array", "prefixItems": firsts, "minItems": len(firsts), "items": False},
            st.lists(inner, min_size=1, max_size=3),
        ),
        st.builds(
            lambda values: {"type": "object", "additionalProperties": values, "minProperties": 1}, inner
        ),
        st.builds(
            lambda held: {"type": "object", "properties": held, "required": sorted(held)[:2]}, properties
        ),
        st.builds(
            lambda held: {
                "allOf": [{"type": "object", "properties": {k: v}, "required": [k]} for k, v in held.items()]
                or [{}]
            },
            properties,
        ),
        st.builds(lambda options: {"oneOf": [options, {"type": "null"}]}, inner),
    )


@given(st.recursive(_SINGLE, _composed, max_leaves=6))
@settings(max_examples=30, deadline=None)
def test_a_value_is_valid_for_its_schema(schema):
    value = Values(Document({})).value(schema)

    jsonschema.validate(value, schema)


_TEXT = st.text("ab1:#-'\"é\n {}[]&*!|>%@,?", max_size=12)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**15), 10**15) | _TEXT,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT.filter(bool), inner, max_size=4),
        max_leaves=8,
    )
)
@settings(max_examples=30, deadline=None)
def test_yaml_is_read_as_it_was_written(data):
    text = yaml.safe_dump(data, allow_unicode=True)

    assert read_yaml(text.encode("utf-8", "replace")) == yaml.load(
        text.encode("utf-8", "replace"), yaml.SafeLoader
    )


def test_yaml_keeps_words_that_only_old_versions_take_for_something_else():
    text = b"a: {x: on, y: 2020-01-01, z: 1:30, 200: 010}\nb: &b {c: 1}\nd: {<<: *b, e: *b}\n"

    assert read_yaml(text) == {
        "a": {"x": "on", "y": "2020-01-01", "z": "1:30", "200": "010"},
        "b": {"c": 1},
        "d": {"c": 1, "e": {"c": 1}},
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("openapi: 3.0.0\na: *b\n", "alias stands before its anchor"),
        ("openapi: 3.0.0\na: &a [*a]\n", "alias stands before its anchor, or in it"),
        ("openapi: 3.0.0\na: " + "[" * 5000, "nested deeper|no valid YAML"),
        ("openapi: 3.0.0\na: [", "no valid YAML"),
        ("openapi: 3.0.0\n? [a]\n: b\n", "a key is no text"),
        ("openapi: 3.0.0\na: \xff\n", "no operation"),
        ("openapi: 3.0.0\npaths: {}\n", "no operation that can be sent"),
        ("openapi: 2.0\n", "only OpenAPI 3 is known, not version 2.0"),
        ('swagger: "2.0"\n', "only OpenAPI 3 is known, not version 2.0"),
        ("- openapi: 3\nopenapi: 3", "no valid YAML"),
    ],
)
def test_a_damaged_document_is_refused(text, words):
    with pytest.raises(UsageError, match=words):
        draft_of(text.encode())


def test_aliases_of_aliases_cost_nothing():
    lines = ["openapi: 3.0.0", "l0: &l0 {type: string}"]
    lines += [f"l{n}: &l{n} {{allOf: [*l{n - 1}, *l{n - 1}, *l{n - 1}]}}" for n in range(1, 30)]
    query = "{name: q, in: query, required: true, schema: *l29}"
    lines.append(f"paths: {{/a: {{get: {{parameters: [{query}], responses: {{}}}}}}}}")

    assert "q" in Imported("\n".join(lines).encode()).request("a")["query"]


def test_the_same_document_in_json_and_in_yaml_is_the_same():
    document = json.loads((FILES / "notes-3.1.json").read_text())

    assert (
        Imported(yaml.safe_dump(document).encode()).load["scenarios"][0]
        == imported("notes-3.1.json").load["scenarios"][0]
    )


def test_things_in_things_are_created_read_and_deleted_by_the_ids_of_both():
    def created(**properties):
        schema = {"type": "object", "properties": {name: {"type": "integer"} for name in properties}}
        return {"201": {"content": {"application/json": {"schema": schema}}}}

    def at(*names):
        return [
            {"name": name, "in": "path", "required": True, "schema": {"type": "integer"}} for name in names
        ]

    pet, visit = at("petId"), at("petId", "visitId")
    made = of(
        {
            "/pets": {"post": operation(responses=created(id=1))},
            "/pets/{petId}": {"get": operation(*pet), "delete": operation(*pet)},
            "/pets/{petId}/visits": {
                "post": operation(*pet, responses=created(visitId=1)),
                "get": operation(*pet),
            },
            "/pets/{petId}/visits/{visitId}": {"get": operation(*visit), "delete": operation(*visit)},
        }
    )
    (scenario,) = made.load["scenarios"]
    sent = [(step["request"].get("method", "GET"), step["request"]["path"]) for step in scenario["steps"]]

    assert sent == [
        ("POST", "/pets"),
        ("POST", "/pets/${pet_id}/visits"),
        ("GET", "/pets/${pet_id}"),
        ("GET", "/pets/${pet_id}/visits"),
        ("GET", "/pets/${pet_id}/visits/${visit_id}"),
        ("DELETE", "/pets/${pet_id}/visits/${visit_id}"),
        ("DELETE", "/pets/${pet_id}"),
    ]
    assert scenario["steps"][1]["extract"] == {"visit_id": {"json": "$.visitId"}}
