"""A matrix makes a configuration of every combination, under names that never change."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from runner.experiment.matrix import MAX_CELLS
from tests.experiment.samples import MINIMAL, PROCESS, error, read, sole

MATRIX = "matrix: {load.max_in_flight: [1, 2], load.connection: [new, keep-alive]}\n"


def test_every_combination_is_a_configuration_named_after_its_values() -> None:
    found = read(MINIMAL + MATRIX).configurations

    assert [(each.name, each.title) for each in found] == [
        ("max-in-flight-1-connection-new", "max_in_flight=1, connection=new"),
        ("max-in-flight-1-connection-keep-alive", "max_in_flight=1, connection=keep-alive"),
        ("max-in-flight-2-connection-new", "max_in_flight=2, connection=new"),
        ("max-in-flight-2-connection-keep-alive", "max_in_flight=2, connection=keep-alive"),
    ]
    assert [(each.load.max_in_flight, each.load.connection) for each in found] == [
        (1, "new"),
        (1, "keep-alive"),
        (2, "new"),
        (2, "keep-alive"),
    ]


def test_it_is_laid_over_every_configuration_that_is_named() -> None:
    text = (
        MINIMAL
        + MATRIX.replace(", load.connection: [new, keep-alive]", "")
        + ("configurations:\n  - {name: a, load: {timeout: 1s}}\n  - {name: b, title: The Other}\n")
    )

    assert [(each.name, each.title, each.load.timeout) for each in read(text).configurations] == [
        ("a-max-in-flight-1", "a: max_in_flight=1", 1.0),
        ("a-max-in-flight-2", "a: max_in_flight=2", 1.0),
        ("b-max-in-flight-1", "The Other: max_in_flight=1", 10.0),
        ("b-max-in-flight-2", "The Other: max_in_flight=2", 10.0),
    ]


def test_keys_that_end_alike_are_named_in_full() -> None:
    text = PROCESS + "matrix: {topology.app.env.WORKERS: [1], load.workers: [2], topology.replicas: [1]}\n"
    names = [each.name for each in read(text).configurations]
    alike = PROCESS + "matrix: {topology.proxy.workers: [1], load.workers: [2]}\n"

    assert names == ["workers-1-workers-2-replicas-1"]
    assert [each.title for each in read(alike, "topology.proxy.kind=nginx").configurations] == [
        "topology.proxy.workers=1, load.workers=2"
    ]


def test_a_value_may_be_text_a_number_or_a_boolean_and_makes_missing_maps() -> None:
    text = PROCESS + 'matrix: {topology.app.env.A: [0.5, true, "x y"]}\n'
    found = read(text).configurations

    assert [each.name for each in found] == ["a-0-5", "a-true", "a-x-y"]
    assert [each.topology.app.env["A"] for each in found] == ["0.5", "true", "x y"]


def test_a_matrix_may_be_set_and_changed_on_the_command_line() -> None:
    assert len(read(MINIMAL, "matrix={load.seed: [1, 2, 3]}").configurations) == 3
    assert len(read(MINIMAL + MATRIX, "matrix[load.connection]=[new]").configurations) == 2


def test_an_override_that_every_combination_overrules_is_refused() -> None:
    assert "has no effect" in sole(PROCESS + MATRIX, "load.connection=new")


def test_a_value_that_does_not_fit_is_named_at_its_place_in_the_matrix() -> None:
    text = MINIMAL + "matrix:\n  load.seed: [1, -1]\n  load.timeout: [1s, 2]\n"

    assert [(each.line, each.column, each.path) for each in error(text).positions] == [
        (6, 18, 'matrix["load.seed"][1]'),
        (7, 22, 'matrix["load.timeout"][1]'),
    ]


def test_no_small_file_becomes_a_large_experiment() -> None:
    lists = ", ".join(f"k{n}: [1, 2, 3, 4, 5, 6, 7, 8]" for n in range(200))

    assert "at most 32 configurations may come of it" in sole(MINIMAL + f"matrix: {{{lists}}}\n")
    several = MATRIX + "configurations: [" + ", ".join(f"{{name: c{n}}}" for n in range(9)) + "]\n"
    assert "makes 4 combinations for each of 9 configurations; at most 32" in sole(MINIMAL + several)


@given(
    st.lists(st.integers(1, 99), min_size=1, max_size=5, unique=True),
    st.lists(st.integers(0, 99), min_size=1, max_size=6, unique=True),
)
def test_the_product_is_whole_and_its_names_do_not_depend_on_its_size(some: list, more: list) -> None:
    text = MINIMAL + f"matrix: {{load.max_in_flight: {some}, load.seed: {more}}}\n"
    found = read(text).configurations
    (first, *_) = read(
        MINIMAL + f"matrix: {{load.max_in_flight: {some[:1]}, load.seed: {more[:1]}}}\n"
    ).configurations

    assert len(found) == len(some) * len(more) <= MAX_CELLS
    assert [(each.load.max_in_flight, each.load.seed) for each in found] == list(product(some, more))
    assert first == found[0]
