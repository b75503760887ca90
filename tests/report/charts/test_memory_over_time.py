"""Memory of each part over time: from the samples of a run to the chart, and nothing where none were kept."""

from msgspec.structs import replace

from runner.analyze.resource_usage import memory_by_second
from runner.core.observed_facts import ObservedFacts, Sample, Subject
from runner.core.units import BYTES_PER_MIB
from runner.report.charts.memory import memory_over_time
from runner.store.chart_process import draw
from tests.report.stored_results import stored, with_stage


def samples(*readings):
    return tuple(Sample(t_s, {}, {"app": round(mib * BYTES_PER_MIB)}) for t_s, mib in readings)


def test_each_second_has_the_last_sample_in_it_and_one_at_its_very_end():
    observed = replace(
        nothing_observed(), samples=samples((-1, 1), (0, 2), (0.5, 3), (1.01, 4), (1.5, 5), (2.9, 6), (9, 7))
    )

    assert memory_by_second(observed, 3.0) == {0: {"app": 4.0}, 1: {"app": 5.0}, 2: {"app": 6.0}}


def nothing_observed():
    return ObservedFacts(subjects=(Subject("app", "app", "process"),), samples=(), counters=())


def with_memory(results, at, mib):
    stage = results.configurations[0].stages[at]
    window = [moment for moment in stage.timeseries if moment.t_s > 0]
    step = (mib[1] - mib[0]) / (len(window) - 1)
    seconds = tuple(
        replace(moment, memory_mib={"app": mib[0] + step * place, "system": 900.0})
        for place, moment in enumerate(window)
    )
    return with_stage(results, (0, at), timeseries=seconds)


def test_the_part_that_grew_is_named_and_drawn_second_by_second():
    results = with_memory(stored("single-process"), 0, (20.0, 40.0))
    results = with_memory(results, 1, (40.0, 60.0))

    chart = memory_over_time(results)

    assert chart.title == "Memory over the run: app grew most, from 20 to 60 MiB"
    rows = chart.spec["vconcat"][1]["data"]["values"]
    assert {row["series"] for row in rows} == {"app"}
    assert (rows[0]["mib"], rows[-1]["mib"]) == (20, 60)
    assert [row["s"] for row in rows] == sorted(row["s"] for row in rows)
    assert draw([chart])[chart.name][1].startswith(b"<svg")


def test_a_part_that_did_not_grow_is_said_to_be_steady():
    chart = memory_over_time(with_memory(stored("single-process"), 0, (20.0, 21.0)))

    assert chart.title == "Memory over the run: no part grew by more than 10 %; app used most, 21 MiB"


def test_another_configuration_with_more_memory_is_no_growth():
    first = with_memory(stored("single-process"), 0, (20.0, 21.0))
    (other,) = with_memory(stored("single-process"), 0, (90.0, 91.0)).configurations
    both = replace(first, configurations=(*first.configurations, replace(other, title="Other")))

    assert memory_over_time(both).title.startswith("Memory over the run: no part grew by more than 10 %; ")


def test_results_without_memory_by_second_have_no_chart_of_it():
    assert memory_over_time(stored("single-process")) is None
