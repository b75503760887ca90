"""Each step between configurations has its price, and the larger one is named."""

from runner.report.request_cost import ladders


def configuration(name, system, *, connection="new", proxy=0.0, used=1.0, p50=1.0, code="within-capacity"):
    costs = {"app": 100.0, "other": 10.0, "system": system} | ({"proxy": proxy} if proxy else {})
    stage = {
        "target_rps": 4000,
        "repeat": 1,
        "achieved": 1.0,
        "cpu_us_per_request": costs,
        "cpu_cores": {"system": {"avg": used}},
        "duration_ms": {"p50": p50},
        "verdict": {"code": code},
    }
    topology, load = {"kind": "process"}, {"connection": connection}
    return {
        "name": name, "title": name, "topology": topology, "load": load, "stages": [stage]
    }  # fmt: skip


def results(*configurations):
    return {"environment": {"cpu_count": 2}, "configurations": configurations}


THREE = (
    configuration("One", 200.0),
    configuration("Two", 250.0, proxy=40.0, p50=1.5),
    configuration("Three", 400.0, proxy=90.0, p50=80.0, used=1.95),
)


def test_each_step_is_told_in_microseconds_and_milliseconds():
    (ladder,) = ladders(results(*THREE))

    rows = [[cell.strip() for cell in line.split("|")] for line in ladder["table"].splitlines()]
    assert rows[0][1:-1] == [
        "Configuration", "app (µs)", "proxy (µs)", "other (µs)", "system (µs)", "step (µs)", "p50 (ms)",
        "step (ms)", "CPU for at most (RPS)",
    ]  # fmt: skip
    assert rows[3][1:-1] == ["Two", "100", "40", "10", "250", "+50", "1.50", "+0.50", "8,000"]


def test_a_queue_on_a_full_host_is_not_taken_for_the_price_of_a_hop():
    (ladder,) = ladders(results(*THREE))

    assert ladder["table"].splitlines()[-1].split("|")[7].strip() == "80.0 (queue)"
    assert ladder["table"].splitlines()[-1].split("|")[8].strip() == "–"


def test_the_dearest_step_and_who_took_it_are_named():
    (ladder,) = ladders(results(*THREE))

    assert "from Two to Three: +150 µs" in ladder["sentence"]
    assert "2.0 times as much, +200 µs: proxy +90 µs, app +0 µs and other +0 µs" in ladder["sentence"]


def test_connection_set_up_is_weighed_against_the_hops():
    kept = [configuration(name, cost, connection="keep-alive", proxy=p) for name, cost, p in
            (("One", 100.0, 0.0), ("Two", 120.0, 10.0), ("Three", 150.0, 20.0))]  # fmt: skip

    *_, last = ladders(results(*kept, *THREE))

    assert "With kept connections the hops add 50 µs a request" in last["sentence"]
    assert "adds another 250 µs at every hop together" in last["sentence"]
    assert last["sentence"].endswith("connection set-up, not the hops themselves.")


def test_two_configurations_are_no_ladder():
    assert ladders(results(*THREE[:2])) == []


def test_a_step_stands_on_the_nearest_configuration_that_has_no_hop_which_it_lacks():
    (ladder,) = ladders(results(THREE[0], THREE[1], configuration("Container", 210.0)))

    assert "+10" in ladder["table"].splitlines()[-1]
    assert "from One to Two: +50 µs" in ladder["sentence"]


def test_the_larger_price_is_not_named_when_it_went_to_what_was_not_watched():
    kept = [configuration(name, cost, connection="keep-alive", proxy=p) for name, cost, p in
            (("One", 100.0, 0.0), ("Two", 120.0, 10.0), ("Three", 390.0, 20.0))]  # fmt: skip
    kept[-1]["stages"][0]["cpu_us_per_request"]["other"] = 310.0

    *_, last = ladders(results(*kept, *THREE))

    assert "Which is the larger price cannot be told here: +300 µs" in last["sentence"]
