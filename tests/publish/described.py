"""GitHub's own description of its API, as a judge of what goes over the wire in tests."""

import copy
import json
import re
from functools import cache
from pathlib import Path

from jsonschema import Draft7Validator

DESCRIPTION = json.loads((Path(__file__).parent / "openapi" / "github.json").read_text())


def _as_json_schema(part):
    """OpenAPI 3.0 says `nullable` where JSON Schema has a type more."""
    if isinstance(part, list):
        return [_as_json_schema(element) for element in part]
    if not isinstance(part, dict):
        return part
    schema = {key: _as_json_schema(value) for key, value in part.items()}
    if schema.pop("nullable", False):
        return {"anyOf": [schema, {"type": "null"}]}
    return schema


COMPONENTS = _as_json_schema(DESCRIPTION["components"])
PATHS = [
    (re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template))), methods)
    for template, methods in DESCRIPTION["paths"].items()
]


@cache
def _judge(schema):
    return Draft7Validator({"components": COMPONENTS, "allOf": [_as_json_schema(json.loads(schema))]})


def _errors(schema, data):
    return _judge(json.dumps(schema)).iter_errors(data)


def example(name):
    """A copy of one of the description's own examples."""
    return copy.deepcopy(DESCRIPTION["components"]["examples"][name]["value"])


def violations(method, path, query, body, status, answer):
    """Where a request or its answer departs from the description; nobody judges paths that it lacks."""
    matches = ((pattern.fullmatch(path), methods) for pattern, methods in PATHS)
    parameters, methods = next((found for found in matches if found[0]), (None, {}))
    if parameters is None:
        return []
    operation = methods.get(method.lower())
    if operation is None:
        return [f"{method} {path}: there is no such operation"]
    found = [*_parameters(operation, parameters.groupdict(), query)]
    if "requestBody" in operation:
        found += _misfits(operation["requestBody"], body, f"{method} {path} asks")
    described = _resolved(operation["responses"].get(str(status)))
    if described:
        found += _misfits(described, answer, f"{method} {path} answers {status}")
    elif status < 400:
        found.append(f"{method} {path}: {status} is not described")
    return found


def _parameters(operation, in_path, query):
    given = {"path": in_path, "query": query}
    known = [_resolved(parameter) for parameter in operation.get("parameters", [])]
    names = {parameter["name"] for parameter in known}
    yield from (f"?{name} is not described" for name in query if name not in names)
    for parameter in known:
        value = given.get(parameter["in"], {}).get(parameter["name"])
        if value is None:
            if parameter.get("required"):
                yield f"{parameter['name']} is missing"
            continue
        typed = int(value) if parameter["schema"].get("type") == "integer" else value
        yield from (f"{parameter['name']}: {error.message}" for error in _errors(parameter["schema"], typed))


def _misfits(holder, data, where):
    content = holder.get("content", {}).get("application/json")
    if content is None:
        return [f"{where}: nothing was expected"] if data is not None else []
    return [
        f"{where}: {'/'.join(map(str, error.path))} {error.message}"
        for error in _errors(content["schema"], data)
    ]


def _resolved(part):
    if part and "$ref" in part:
        _, _, kind, name = part["$ref"].split("/")
        return DESCRIPTION["components"][kind][name]
    return part
