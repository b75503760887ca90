"""A late viewer sees the whole run in a bounded number of points, and no count is lost."""

from __future__ import annotations

from runner.core.live import Note, Probe, Second, TrialBegins, TrialEnds, encode_live
from runner.serve.live_history import MAX_POINTS, RunHistory
from tests.serve.live.records import FIND, beginning, probes, second, stage_of, trial

DAY_S = 24 * 3600


def filled(records) -> RunHistory:
    history = RunHistory()
    for record in records:
        history.add(record)
    return history


def seconds_of(history):
    return [record for record in history.records() if isinstance(record, Second)]


def test_a_stage_of_a_day_has_a_bounded_number_of_points_and_keeps_its_counts():
    history = filled([beginning(), trial()])
    for t_s in range(1, DAY_S + 1):
        history.add(second(t_s, failures={"timeout": 1}))

    points = seconds_of(history)

    assert len(points) <= 2 * MAX_POINTS
    assert sum(point.failures["timeout"] for point in points) == DAY_S
    assert sum(point.seconds for point in points) == DAY_S
    assert points[-1].t_s == DAY_S
    assert points[-1].parts["home"].succeeded == 50 * DAY_S


def test_the_worst_second_is_seen_however_few_points_there_are():
    history = filled([beginning(), trial()])
    for t_s in range(1, 3000):
        history.add(second(t_s))
    slow = Second(1.0, 3000.0, 10.0, p99_ms=9000.0)
    history.add(slow)
    for t_s in range(3001, 7000):
        history.add(second(t_s))

    assert max(point.p99_ms for point in seconds_of(history)) == 9000.0


def test_a_run_of_very_many_trials_stays_small():
    history = filled([beginning()])
    for number in range(1, 600):
        for record in stage_of(number, 120):
            history.add(record)
        history.add(Note(1.0, f"note {number}"))

    records = list(history.records())

    assert sum(len(encode_live(record)) for record in records) < 4 * 2**20
    assert sum(isinstance(record, TrialBegins) for record in records) == 599
    assert sum(isinstance(record, Note) for record in records) <= 200


def test_a_resumed_run_shows_what_was_done_before_and_not_the_records_of_the_killed_one():
    history = filled([beginning(), *stage_of(1, 5), Note(1.0, "of the killed run")])
    history.add(beginning())
    history.add(TrialEnds(1.0, 1, "complete", 100))
    history.add(Probe(1.0, 2, "one", FIND, 100.0, passed=True))

    records = list(history.records())

    assert [type(record) for record in records] == [type(beginning()), TrialEnds, Probe]


def test_probes_stay_with_their_trials():
    history = filled([beginning(), *probes()])
    order = [record.number for record in history.records() if isinstance(record, TrialBegins | Probe)]
    assert order == [2, 2, 3, 3, 4, 4, 5]
