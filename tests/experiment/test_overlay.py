"""Each configuration is merged into the shared keys, and keeps its own positions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.experiment.external_topology import ExternalTopology
from runner.experiment.overlay import merge
from runner.experiment.yaml.parser import parse
from runner.experiment.yaml.tree import MapNode, Mark, Scalar, plain
from tests.experiment.samples import MINIMAL, PROCESS, error, read, sole

KEYS = st.text("abc", min_size=1, max_size=2)
VALUES = st.recursive(
    st.integers(0, 9) | st.lists(st.integers(0, 9), max_size=2),
    lambda inner: st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
LEVELS = st.dictionaries(KEYS, st.dictionaries(KEYS, st.integers(0, 9), max_size=3), max_size=3)
MAPS = st.dictionaries(KEYS, VALUES, max_size=4)


def tree(data: dict[str, Any]) -> MapNode:
    node, _ = parse(str(data).replace("None", "null"))
    assert isinstance(node, MapNode)
    return node


def merged_data(under: dict[str, Any], over: dict[str, Any]) -> Any:
    return plain(merge(tree(under), tree(over)))


@given(MAPS)
def test_merging_an_empty_or_equal_map_changes_nothing(base: dict) -> None:
    assert merged_data(base, {}) == base
    assert merged_data({}, base) == base
    assert merged_data(base, base) == base


@given(LEVELS, LEVELS, LEVELS)
def test_merging_is_associative(a: dict, b: dict, c: dict) -> None:
    assert plain(merge(merge(tree(a), tree(b)), tree(c))) == plain(merge(tree(a), merge(tree(b), tree(c))))


@given(MAPS, MAPS)
def test_the_upper_layer_replaces_values_and_the_lower_fills_the_rest(under: dict, over: dict) -> None:
    merged = merged_data(under, over)

    assert merged.keys() == under.keys() | over.keys()
    for key, value in merged.items():
        if key not in over:
            assert value == under[key]
        elif not (isinstance(over[key], dict) and isinstance(under.get(key), dict)):
            assert value == over[key]
        else:
            assert value == merged_data(under[key], over[key])


@given(MAPS, st.data())
def test_null_removes_a_key_of_the_lower_layer(under: dict, data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.sampled_from(sorted(under))) if under else st.just(set()))

    assert merged_data(under, dict.fromkeys(gone)) == {key: under[key] for key in under if key not in gone}


def test_null_without_a_key_to_remove_has_no_effect() -> None:
    assert merged_data({"a": 1}, {"b": None}) == {"a": 1, "b": None}


def test_maps_merge_and_lists_replace() -> None:
    text = PROCESS + (
        "configurations:\n"
        "  - name: base\n"
        "  - name: other\n"
        "    load: {timeout: 1s}\n"
        "    stages: [{rps: 7, duration: 1s}]\n"
        "    topology: {app: {env: {A: 1}}}\n"
    )
    base, other = read(text).configurations

    assert (base.load.connection, base.load.timeout) == ("new", 10.0)
    assert (other.load.connection, other.load.timeout) == ("new", 1.0)
    assert [stage.rps for stage in base.stages] == [100]
    assert [stage.rps for stage in other.stages] == [7]
    assert other.topology.app.env == {"A": "1"}
    assert other.topology.app.command == ("serve", "--port", "{port}")


def test_another_kind_of_topology_replaces_the_whole_topology() -> None:
    text = PROCESS + "configurations:\n  - name: far\n    topology: {kind: external, url: 'http://a'}\n"

    (far,) = read(text).configurations
    assert far.topology == ExternalTopology(kind="external", url="http://a")


def test_the_same_kind_of_topology_is_merged() -> None:
    text = PROCESS + "configurations:\n  - name: a\n    topology: {kind: process, app: {health: /up}}\n"

    (a,) = read(text).configurations
    assert a.topology.app.command
    assert a.topology.app.health == "/up"


def test_only_a_topology_is_replaced_when_its_kind_differs() -> None:
    env = PROCESS.replace("    command", "    env: {kind: a, B: 1}\n    command")
    text = env + "configurations:\n  - name: a\n    topology: {app: {env: {kind: b}}}\n"

    (a,) = read(text).configurations
    assert a.topology.app.env == {"kind": "b", "B": "1"}


def test_the_shared_keys_may_lack_what_every_configuration_has() -> None:
    text = (
        "version: 1\nname: x\n"
        "topology: {kind: external}\n"
        "load: {connection: new}\n"
        "configurations:\n"
        "  - {name: a, topology: {url: 'http://a'}, stages: [{rps: 1, duration: 1s}]}\n"
        "  - {name: b, topology: {url: 'http://b'}, stages: [{rps: 2, duration: 1s}]}\n"
    )

    assert [c.topology.url for c in read(text).configurations] == ["http://a", "http://b"]


def test_a_missing_key_is_reported_at_the_configuration() -> None:
    text = "version: 1\nname: x\nconfigurations:\n  - name: a\n    stages: [{rps: 1, duration: 1s}]\n"

    assert sole(text) == (
        "spec.yaml:4:5: configurations[0].topology: is required\n"
        "  4 |   - name: a\n"
        "    |     ^\n"
        "  such as topology: {kind: external, url: http://127.0.0.1:8080}"
    )


def test_a_problem_is_reported_once_and_in_the_layer_that_has_it() -> None:
    text = PROCESS.replace("connection: new", "conection: new") + (
        "configurations:\n  - name: a\n  - name: b\n    load: {timeout: 5}\n  - name: c\n    lod: {}\n"
    )

    assert [(p.line, p.column, p.path, p.message.split(",")[0]) for p in error(text).positions] == [
        (8, 3, "load.conection", "unknown key"),
        (14, 21, "configurations[1].load.timeout", "should be a time with a unit"),
        (16, 5, "configurations[2].lod", "unknown key"),
    ]


def test_a_problem_in_shared_keys_is_reported_even_if_every_configuration_replaces_them() -> None:
    text = PROCESS.replace("[serve, --port", "[serve, --port").replace("100, duration", "-1, duration") + (
        "configurations:\n  - name: a\n    stages: [{rps: 1, duration: 1s}]\n"
    )

    assert "spec.yaml:10:11: stages[0].rps: should be more than 0, not -1" in sole(text)
    assert [position.path for position in error(text + "    cooldown: 5\n").positions] == [
        "stages[0].rps",
        "configurations[0].cooldown",
    ]


def test_a_key_that_is_missing_after_merging_is_reported_in_the_upper_layer() -> None:
    text = PROCESS.replace("    command: [serve", "    x: [serve").replace("x:", "health: /a #")
    text += "configurations:\n  - name: a\n    topology:\n      app:\n        health: /b\n"

    assert sole(text).startswith("spec.yaml:14:7: configurations[0].topology.app: command is required")


def test_conflicts_between_layers_point_at_the_upper_one() -> None:
    text = PROCESS + "configurations:\n  - name: a\n    topology: {app: {image: x}}\n"

    assert "spec.yaml:13:29: configurations[0].topology.app.image: image requires kind docker" in sole(text)


NAMES = [
    ("no name", "configurations: [{load: {}}]", "configurations[0].name: is required"),
    (
        "a name twice",
        "configurations: [{name: a}, {name: a}]",
        "configurations[1].name: the name 'a' is already used by configurations[0]",
    ),
    ("no configuration", "configurations: []", "configurations: should not be empty"),
    ("nothing", "configurations:", "configurations: should be a list, not empty"),
    ("a mapping", "configurations: {a: {}}", "configurations: should be a list, not a mapping"),
    ("a word", "configurations: [a]", "configurations[0]: should be a mapping of keys to values, not 'a'"),
    (
        "a version of its own",
        "configurations: [{name: a, version: 1}]",
        "configurations[0].version: unknown key",
    ),
]


@pytest.mark.parametrize(("line", "problem"), [row[1:] for row in NAMES], ids=[row[0] for row in NAMES])
def test_configurations_are_a_list_of_named_mappings(line: str, problem: str) -> None:
    assert problem in sole(MINIMAL + line)


def test_a_scalar_keeps_its_mark() -> None:
    merged = merge(tree({"a": 1, "b": {"c": 2}}), tree({"b": {"d": 3}}))

    assert merged.entries["a"].value == Scalar(Mark(1, 7, 1), "a", 1)
