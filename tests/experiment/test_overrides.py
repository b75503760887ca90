"""`--set path=value` changes the document, or says why it cannot."""

from __future__ import annotations

import pytest

from tests.experiment.samples import MINIMAL, PROCESS, error, only, read, sole

NAMED = PROCESS + "configurations:\n  - {name: plain}\n  - {name: kept, load: {connection: keep-alive}}\n"


def test_a_value_is_changed() -> None:
    assert only(PROCESS, "stages[0].rps=250").stages[0].name == "250 RPS"
    assert only(PROCESS, "stages.0.rps=250").stages[0].rps == 250


def test_missing_mappings_are_made() -> None:
    assert only(MINIMAL, "load.request.headers.Host=a:80").load.request.headers == {"Host": "a:80"}


def test_a_value_may_be_yaml() -> None:
    assert len(only(PROCESS, "stages=[{rps: 1, duration: 1s}, {rps: 2, duration: 1s}]").stages) == 2
    assert only(PROCESS, "topology.app.env={A: 1}").topology.app.env == {"A": "1"}


def test_an_empty_value_is_null_and_quotes_make_it_text() -> None:
    assert only(PROCESS, "load.request.body=").load.request.body is None
    assert only(PROCESS, "load.request.body=''").load.request.body == ""


def test_a_value_may_hold_equals_signs() -> None:
    assert only(PROCESS, "load.request.path=/a?b=c").load.request.path == "/a?b=c"


def test_the_last_of_several_wins() -> None:
    assert only(PROCESS, "stages[0].rps=1", "stages[0].rps=2").stages[0].rps == 2


def test_a_base_key_is_changed_for_each_configuration_that_does_not_set_it() -> None:
    plain, kept = read(NAMED, "load.timeout=3s").configurations

    assert (plain.load.timeout, kept.load.timeout) == (3, 3)


def test_a_configuration_is_reached_by_index_or_by_name() -> None:
    for path in (
        "configurations[1].load.connection",
        "configurations.kept.load.connection",
        "configurations[kept].load.connection",
    ):
        plain, kept = read(NAMED, f"{path}=new").configurations
        assert (plain.load.connection, kept.load.connection) == ("new", "new")


def test_a_change_that_every_configuration_overrules_is_refused() -> None:
    text = PROCESS + "configurations:\n  - {name: kept, load: {connection: keep-alive}}\n"

    assert sole(text, "load.connection=new") == (
        "--set: load.connection: has no effect, since each configuration sets this key itself\n"
        "   | load.connection=new\n"
        "   | ^^^^^^^^^^^^^^^\n"
        "  set it there, such as configurations[0].load.connection"
    )


REFUSED = [
    ("no equals sign", "load", ": should be path=value"),
    ("no path", "=3", ": '' is no path"),
    ("an empty step", "load..timeout=3s", ": 'load..timeout' is no path"),
    ("a dot at the start", ".load=3", ": '.load' is no path"),
    ("a dot at the end", "load.=3", ": 'load.' is no path"),
    ("an open bracket", "stages[0=3", ": 'stages[0' is no path"),
    ("an index too far", "stages[1].rps=3", "stages: has 1 entry, counted from 0; there is no '1'"),
    ("an index that is none", "stages[a].rps=3", "stages: has 1 entry, counted from 0; there is no 'a'"),
    ("a huge index", f"stages[{'9' * 80}].rps=3", "stages: has 1 entry, counted from 0; there is no"),
    ("a step into a value", "name.x=3", "name: is 'one' and has no parts, so no 'x'"),
    ("a value that is no YAML", "load=[", "load: not valid YAML"),
    ("a tag", "name=!!str x", "name: YAML tags are not allowed"),
    ("a control character", "name=\x1b[1m", "name: the character U+001B is not allowed"),
    ("a control character in the path", "na\x1b[1me=1", ": 'na"),
    ("a control character in a key", "na\x1bme=[", "na\ufffdme: not valid YAML"),
    ("bytes that are no UTF-8", "name=\udcff", "name: the file is not UTF-8"),
    ("a novel", "name=" + "x" * 5_000, ": should be path=value"),
    ("an unknown key", "load.conection=new", "load.conection: unknown key"),
    ("a wrong value", "load.timeout=5", "load.timeout: should be a time with its unit"),
    ("two lines", "load.timeout=\n\n5", "load.timeout: should be a time with its unit"),
]


@pytest.mark.parametrize(
    ("override", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_a_change_that_cannot_be_made_says_so(override: str, message: str) -> None:
    problem = sole(PROCESS, override)

    assert problem.startswith(f"--set: {message.removeprefix(': ')}")
    assert problem.isprintable() or problem.replace("\n", "").isprintable()


def test_problems_of_a_set_have_no_line_of_the_file() -> None:
    (position,) = error(PROCESS, "load.timeout=5").positions

    assert (position.line, position.column, position.path) == (None, None, "load.timeout")


def test_a_wrong_name_of_a_configuration_suggests_a_right_one() -> None:
    assert sole(NAMED, "configurations.plan.load.timeout=1s").endswith(
        "there is no 'plan'\n"
        "   | configurations.plan.load.timeout=1s\n"
        "   | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "  did you mean 'plain'?"
    )


def test_a_change_may_mend_what_is_wrong_in_the_file() -> None:
    assert read(PROCESS.replace("rps: 100", "rps: -1"), "stages[0].rps=1")


def test_a_mapping_that_was_changed_in_part_is_still_found_in_the_file() -> None:
    text = PROCESS.replace("command: [serve", "health: /a #")

    assert sole(text, "topology.app.health=/b").startswith("spec.yaml:5:3: topology.app: command is required")


def test_the_rest_of_a_file_keeps_its_positions() -> None:
    found = error(PROCESS.replace("connection: new", "conection: new"), "load.timeout=1s")

    assert [(p.line, p.path) for p in found.positions] == [(8, "load.conection")]
