"""`--set path=value` changes the document, or reports why it cannot."""

from __future__ import annotations

import pytest

from tests.experiment.samples import MINIMAL, PROCESS, error, only, read, sole

NAMED = PROCESS + "configurations:\n  - {name: plain}\n  - {name: kept, load: {connection: keep-alive}}\n"


def test_a_value_is_changed() -> None:
    assert only(PROCESS, "stages[0].rps=250").stages[0].name == "250 RPS"
    assert only(PROCESS, "stages.0.rps=250").stages[0].rps == 250


def test_missing_mappings_are_created() -> None:
    assert only(MINIMAL, "load.request.headers.Host=a:80").load.request.headers == {"Host": "a:80"}


def test_a_value_may_be_yaml() -> None:
    assert len(only(PROCESS, "stages=[{rps: 1, duration: 1s}, {rps: 2, duration: 1s}]").stages) == 2
    assert only(PROCESS, "topology.app.env={A: 1}").topology.app.env == {"A": "1"}


def test_an_empty_value_is_null_and_quotes_make_it_text() -> None:
    assert only(PROCESS, "load.request.body=").load.request.body is None
    assert only(PROCESS, "load.request.body=''").load.request.body == ""


def test_a_value_may_contain_equals_signs() -> None:
    assert only(PROCESS, "load.request.path=/a?b=c").load.request.path == "/a?b=c"


def test_the_last_of_several_overrides_applies() -> None:
    assert only(PROCESS, "stages[0].rps=1", "stages[0].rps=2").stages[0].rps == 2


def test_a_shared_key_changes_for_each_configuration_that_does_not_set_it() -> None:
    plain, kept = read(NAMED, "load.timeout=3s").configurations

    assert (plain.load.timeout, kept.load.timeout) == (3, 3)


def test_a_path_selects_a_configuration_by_index_or_name() -> None:
    for path in (
        "configurations[1].load.connection",
        "configurations.kept.load.connection",
        "configurations[kept].load.connection",
    ):
        plain, kept = read(NAMED, f"{path}=new").configurations
        assert (plain.load.connection, kept.load.connection) == ("new", "new")


def test_an_override_that_every_configuration_replaces_is_refused() -> None:
    text = PROCESS + "configurations:\n  - {name: kept, load: {connection: keep-alive}}\n"

    assert sole(text, "load.connection=new") == (
        "--set: load.connection: has no effect, because each configuration sets this key\n"
        "   | load.connection=new\n"
        "   | ^^^^^^^^^^^^^^^\n"
        "  set it in a configuration, such as configurations[0].load.connection"
    )


REFUSED = [
    ("no equals sign", "load", ": should be path=value"),
    ("no path", "=3", ": '' is not a path"),
    ("an empty step", "load..timeout=3s", ": 'load..timeout' is not a path"),
    ("a dot at the start", ".load=3", ": '.load' is not a path"),
    ("a dot at the end", "load.=3", ": 'load.' is not a path"),
    ("an open bracket", "stages[0=3", ": 'stages[0' is not a path"),
    ("an index out of range", "stages[1].rps=3", "stages: has 1 entry, numbered from 0; there is no '1'"),
    (
        "an index that is not a number",
        "stages[a].rps=3",
        "stages: has 1 entry, numbered from 0; there is no 'a'",
    ),
    ("a huge index", f"stages[{'9' * 80}].rps=3", "stages: has 1 entry, numbered from 0; there is no"),
    ("a step into a value", "name.x=3", "name: is 'one', not a mapping, so it has no key 'x'"),
    ("a value that is not YAML", "load=[", "load: not valid YAML"),
    ("a tag", "name=!!str x", "name: the YAML tag 'tag:yaml.org,2002:str' is not allowed"),
    ("a control character", "name=\x1b[1m", "name: the character U+001B is not allowed"),
    ("a control character in the path", "na\x1b[1me=1", ": 'na"),
    ("a control character in a key", "na\x1bme=[", "na\ufffdme: not valid YAML"),
    ("bytes that are not UTF-8", "name=\udcff", "name: the file is not UTF-8"),
    ("a very long value", "name=" + "x" * 5_000, ": should be path=value"),
    ("an unknown key", "load.conection=new", "load.conection: unknown key"),
    ("a wrong value", "load.timeout=5", "load.timeout: should be a time with a unit"),
    ("two lines", "load.timeout=\n\n5", "load.timeout: should be a time with a unit"),
]


@pytest.mark.parametrize(
    ("override", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_an_invalid_override_is_refused_with_a_message(override: str, message: str) -> None:
    problem = sole(PROCESS, override)

    assert problem.startswith(f"--set: {message.removeprefix(': ')}")
    assert problem.isprintable() or problem.replace("\n", "").isprintable()


def test_a_problem_in_an_override_has_no_line_number() -> None:
    (position,) = error(PROCESS, "load.timeout=5").positions

    assert (position.line, position.column, position.path) == (None, None, "load.timeout")


def test_an_unknown_configuration_name_suggests_a_similar_one() -> None:
    assert sole(NAMED, "configurations.plan.load.timeout=1s").endswith(
        "there is no 'plan'\n"
        "   | configurations.plan.load.timeout=1s\n"
        "   | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "  did you mean 'plain'?"
    )


def test_an_override_can_correct_an_error_in_the_file() -> None:
    assert read(PROCESS.replace("rps: 100", "rps: -1"), "stages[0].rps=1")


def test_a_partly_overridden_mapping_keeps_its_position() -> None:
    text = PROCESS.replace("command: [serve", "health: /a #")

    assert sole(text, "topology.app.health=/b").startswith("spec.yaml:5:3: topology.app: command is required")


def test_the_rest_of_a_file_keeps_its_positions() -> None:
    refused = error(PROCESS.replace("connection: new", "conection: new"), "load.timeout=1s")

    assert [(p.line, p.path) for p in refused.positions] == [(8, "load.conection")]
