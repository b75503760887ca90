"""Configurations that differ only in replicas are fitted together, and the fit is accurate."""

from __future__ import annotations

from runner.analyze.scaling_text import KnownCapacity, sentences
from runner.analyze.usl import Law, Point
from runner.core.codes import Limit
from runner.core.scaling_results import Scaling
from tests.analyze.facts import results_of
from tests.analyze.searches import REPLICATED, SPEC, scaled

FOUR = b"matrix: {topology.replicas: [1, 2, 4, 6]}\n"


def curves(law: Law, spec: bytes = REPLICATED + FOUR) -> tuple[Scaling, ...]:
    return scaled(law, spec).scaling


def test_searches_over_replicas_recover_the_underlying_law() -> None:
    (entry,) = curves(Law(800, 0.1, 0.05))

    assert [point.replicas for point in entry.points] == [1, 2, 4, 6]
    assert all(point.low_rps <= point.rps <= point.high_rps for point in entry.points)
    low, high = entry.law.coherency_95
    assert low <= 0.05 <= high
    assert abs(entry.law.peak_replicas - (0.9 / 0.05) ** 0.5) < 1
    assert "Adding replicas helps up to about 4." in entry.sentence
    assert "each further replica lowers it" in entry.sentence


def test_contention_alone_has_a_ceiling_and_no_peak() -> None:
    (entry,) = curves(Law(500, 0.3, 0))

    assert entry.law.contention_95[0] <= 0.3 <= entry.law.contention_95[1]
    assert entry.law.peak_95[1] is None


def test_one_configuration_has_no_fit_and_two_numbers_of_replicas_are_not_enough() -> None:
    assert curves(Law(800, 0.1, 0.05), REPLICATED) == ()
    (entry,) = curves(Law(800, 0.1, 0.05), REPLICATED + b"matrix: {topology.replicas: [1, 2]}\n")
    assert entry.law is None
    assert "at 2 numbers of replicas cannot separate contention from coherency" in entry.sentence


def test_configurations_that_differ_in_more_than_replicas_are_separate_families() -> None:
    wide = b"matrix: {topology.replicas: [1, 2], load.connection: [new, keep-alive]}\n"

    assert [entry.configurations for entry in curves(Law(800, 0.1, 0), REPLICATED + wide)] == [
        ("replicas-1-connection-new", "replicas-2-connection-new"),
        ("replicas-1-connection-keep-alive", "replicas-2-connection-keep-alive"),
    ]


def test_a_configuration_without_a_limit_is_named_and_left_out() -> None:
    (entry,) = curves(Law(900, 0, 0))  # six replicas hold more than the search may try

    assert entry.without == ("replicas-6",)
    assert "The fit excludes replicas-6: no limit was found" in entry.sentence
    assert [point.replicas for point in entry.points] == [1, 2, 4]
    assert "nothing limits scaling" in entry.sentence or entry.law.contention < 0.02


def test_overloaded_stages_count_as_well() -> None:
    spec = (
        REPLICATED[: REPLICATED.index(b"stages")]
        + b"stages: [{rps: 4000, duration: 4s}, {rps: 3900, duration: 4s}]\n"
    )
    (entry,) = curves(Law(500, 0.2, 0.02), spec + b"matrix: {topology.replicas: [1, 2, 4]}\n")

    assert [point.source for point in entry.points] == ["overload"] * 3
    assert [point.rps for point in entry.points] == [500, 806, 1087]
    assert entry.law.contention_95 is None
    assert "its uncertainty is unknown" in entry.sentence


def test_an_experiment_without_replicas_has_no_fit() -> None:
    assert results_of(spec=SPEC).scaling == ()


def test_a_limit_of_the_host_is_not_attributed_to_the_replicas() -> None:
    law = Law(1000, 0.1, 0.05)
    known = [(n, Limit.APP_CPU if n < 4 else Limit.HOST_CPU) for n in (1, 2, 4, 6)]
    measured = [KnownCapacity(Point(n, law.at(n), law.at(n)), "search", limit) for n, limit in known]

    said = " ".join(sentences(measured, law, None, ()))
    own = " ".join(sentences(measured[:2], law, None, ()))
    assert "With 4 replicas, the verdict is host-cpu-limited: from there on, the host limits" in said
    assert "the host limits" not in own


def test_superlinear_scaling_is_attributed_to_another_cause() -> None:
    measured = [KnownCapacity(Point(n, n**1.3, n**1.3), "search", None) for n in (1, 2, 4)]

    assert "Capacity grew faster than the number of replicas" in " ".join(
        sentences(measured, Law(1, 0, 0), None, ())
    )
