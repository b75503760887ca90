"""A matrix makes a configuration for every combination, with stable names."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from runner.experiment.matrix import MAX_CELLS
from tests.experiment.samples import MINIMAL, PROCESS, error, read, sole

MATRIX = "matrix: {load.max_in_flight: [1, 2], load.connection: [new, keep-alive]}\n"


def test_every_combination_is_a_configuration_named_after_its_values() -> None:
    configurations = read(MINIMAL + MATRIX).configurations

    assert [(configuration.name, configuration.title) for configuration in configurations] == [
        ("max-in-flight-1-connection-new", "max_in_flight=1, connection=new"),
        ("max-in-flight-1-connection-keep-alive", "max_in_flight=1, connection=keep-alive"),
        ("max-in-flight-2-connection-new", "max_in_flight=2, connection=new"),
        ("max-in-flight-2-connection-keep-alive", "max_in_flight=2, connection=keep-alive"),
    ]
    assert [
        (configuration.load.max_in_flight, configuration.load.connection) for configuration in configurations
    ] == [
        (1, "new"),
        (1, "keep-alive"),
        (2, "new"),
        (2, "keep-alive"),
    ]


def test_a_matrix_is_applied_to_every_listed_configuration() -> None:
    text = (
        MINIMAL
        + MATRIX.replace(", load.connection: [new, keep-alive]", "")
        + ("configurations:\n  - {name: a, load: {timeout: 1s}}\n  - {name: b, title: The Other}\n")
    )

    assert [
        (configuration.name, configuration.title, configuration.load.timeout)
        for configuration in read(text).configurations
    ] == [
        ("a-max-in-flight-1", "a: max_in_flight=1", 1.0),
        ("a-max-in-flight-2", "a: max_in_flight=2", 1.0),
        ("b-max-in-flight-1", "The Other: max_in_flight=1", 10.0),
        ("b-max-in-flight-2", "The Other: max_in_flight=2", 10.0),
    ]


def test_keys_with_the_same_last_step_get_their_full_path() -> None:
    text = PROCESS + "matrix: {topology.app.env.WORKERS: [1], load.workers: [2], topology.replicas: [1]}\n"
    names = [configuration.name for configuration in read(text).configurations]
    alike = PROCESS + "matrix: {topology.proxy.workers: [1], load.workers: [2]}\n"

    assert names == ["workers-1-workers-2-replicas-1"]
    assert [
        configuration.title for configuration in read(alike, "topology.proxy.kind=nginx").configurations
    ] == ["topology.proxy.workers=1, load.workers=2"]


def test_a_value_is_text_a_number_or_a_boolean_and_creates_missing_maps() -> None:
    text = PROCESS + 'matrix: {topology.app.env.A: [0.5, true, "x y"]}\n'
    configurations = read(text).configurations

    assert [configuration.name for configuration in configurations] == ["a-0-5", "a-true", "a-x-y"]
    assert [configuration.topology.app.env["A"] for configuration in configurations] == ["0.5", "true", "x y"]


def test_a_matrix_can_be_set_and_changed_on_the_command_line() -> None:
    assert len(read(MINIMAL, "matrix={load.seed: [1, 2, 3]}").configurations) == 3
    assert len(read(MINIMAL + MATRIX, "matrix[load.connection]=[new]").configurations) == 2


def test_an_override_that_every_combination_replaces_is_refused() -> None:
    assert "has no effect" in sole(PROCESS + MATRIX, "load.connection=new")


def test_an_invalid_value_is_reported_at_its_place_in_the_matrix() -> None:
    text = MINIMAL + "matrix:\n  load.seed: [1, -1]\n  load.timeout: [1s, 2]\n"

    assert [(position.line, position.column, position.path) for position in error(text).positions] == [
        (6, 18, 'matrix["load.seed"][1]'),
        (7, 22, 'matrix["load.timeout"][1]'),
    ]


def test_a_small_file_cannot_become_a_large_experiment() -> None:
    lists = ", ".join(f"k{n}: [1, 2, 3, 4, 5, 6, 7, 8]" for n in range(200))

    assert "at most 32 configurations are allowed" in sole(MINIMAL + f"matrix: {{{lists}}}\n")
    several = MATRIX + "configurations: [" + ", ".join(f"{{name: c{n}}}" for n in range(9)) + "]\n"
    assert "makes 4 combinations for each of 9 configurations; at most 32" in sole(MINIMAL + several)


@given(
    st.lists(st.integers(1, 99), min_size=1, max_size=5, unique=True),
    st.lists(st.integers(0, 99), min_size=1, max_size=6, unique=True),
)
def test_the_product_is_complete_and_its_names_do_not_depend_on_its_size(some: list, more: list) -> None:
    text = MINIMAL + f"matrix: {{load.max_in_flight: {some}, load.seed: {more}}}\n"
    configurations = read(text).configurations
    (first, *_) = read(
        MINIMAL + f"matrix: {{load.max_in_flight: {some[:1]}, load.seed: {more[:1]}}}\n"
    ).configurations

    assert len(configurations) == len(some) * len(more) <= MAX_CELLS
    assert [
        (configuration.load.max_in_flight, configuration.load.seed) for configuration in configurations
    ] == list(product(some, more))
    assert first == configurations[0]
