"""Each step between configurations has its cost, and the larger one is named."""

from msgspec.structs import replace

from runner.core.codes import Limit
from runner.core.measured import Latency
from runner.core.observed_results import Usage
from runner.core.system_facts import SystemDescription
from runner.report.request_cost import answer, ladders
from tests.report.stored_results import first_stage, stored

BASE = stored("single-process")


def configuration(name, system, *, connection="new", proxy=0.0, used=1.0, p50=1.0, other=10.0):
    """A configuration with one stage at 4,000 RPS and these costs."""
    costs = {"app": 100.0, "other": other, "system": system} | ({"proxy": proxy} if proxy else {})
    stage = first_stage(BASE)
    stage = replace(
        stage,
        target_rps=4000.0,
        achieved=1.0,
        cpu_us_per_request=costs,
        cpu_cores={"system": Usage(used, None)},
        duration_ms=Latency(p50=p50),
        verdict=replace(stage.verdict, code=Limit.WITHIN_CAPACITY),
    )
    model = BASE.configurations[0]
    return replace(
        model,
        name=name,
        title=name,
        topology=SystemDescription(kind="process"),
        load=replace(model.load, connection=connection),
        stages=(stage,),
    )


def results(*configurations):
    return replace(BASE, environment={"cpu_count": 2}, configurations=configurations)


THREE = (
    configuration("One", 200.0),
    configuration("Two", 250.0, proxy=40.0, p50=1.5),
    configuration("Three", 400.0, proxy=90.0, p50=80.0, used=1.95),
)


def test_each_step_is_shown_in_microseconds_and_milliseconds():
    (ladder,) = ladders(results(*THREE))

    rows = [[cell.strip() for cell in line.split("|")] for line in ladder.table.splitlines()]
    assert rows[0][1:-1] == [
        "Configuration", "app (µs)", "proxy (µs)", "other (µs)", "host (µs)", "step (µs)", "p50 (ms)",
        "step (ms)", "CPU-bound maximum (RPS)",
    ]  # fmt: skip
    assert rows[3][1:-1] == ["Two", "100", "40", "10", "250", "+50", "1.50", "+0.50", "8,000"]


def test_a_queue_on_a_full_host_does_not_count_as_the_cost_of_a_hop():
    (ladder,) = ladders(results(*THREE))

    assert ladder.table.splitlines()[-1].split("|")[7].strip() == "80.0 (queued)"
    assert ladder.table.splitlines()[-1].split("|")[8].strip() == "–"


def test_the_most_expensive_step_and_its_components_are_named():
    (ladder,) = ladders(results(*THREE))

    assert "from Two to Three: +150 µs" in ladder.sentence
    assert "by a factor of 2.0, +200 µs: proxy +90 µs, app +0 µs and other +0 µs" in ladder.sentence


def kept(last: float = 150.0, other: float = 10.0):
    """The same three with keep-alive connections."""
    return (
        configuration("One", 100.0, connection="keep-alive"),
        configuration("Two", 120.0, connection="keep-alive", proxy=10.0),
        configuration("Three", last, connection="keep-alive", proxy=20.0, other=other),
    )


def test_connection_set_up_is_compared_with_the_hops():
    configurations = (*kept(), *THREE)

    *_, last = ladders(results(*configurations))

    assert "At 4,000 RPS with keep-alive connections, the hops add 50 µs per request." in last.sentence
    assert "adds another 250 µs over all hops" in last.sentence
    assert last.sentence.endswith("Connection set-up costs more than the hops themselves.")
    assert last.sentence.endswith(answer(configurations))


def test_two_configurations_are_no_ladder():
    assert ladders(results(*THREE[:2])) == []


def test_a_step_starts_at_the_nearest_configuration_without_an_additional_hop():
    (ladder,) = ladders(results(THREE[0], THREE[1], configuration("Container", 210.0)))

    assert "+10" in ladder.table.splitlines()[-1]
    assert "from One to Two: +50 µs" in ladder.sentence


def test_no_cost_is_called_larger_when_unmonitored_processes_may_have_caused_it():
    *_, last = ladders(results(*kept(last=390.0, other=310.0), *THREE))

    assert "Which of the two costs more is unknown: +300 µs" in last.sentence
