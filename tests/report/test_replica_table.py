"""The table of replicas shows the busiest ones only where there are many."""

from types import SimpleNamespace

from runner.core.codes import Role
from runner.report.replica_table import replicas


def stage(count: int) -> SimpleNamespace:
    """Return what the table reads of a stage; the last replica is the busiest."""
    subjects = {
        f"app-{number}": SimpleNamespace(role=Role.APP, cpu=SimpleNamespace(avg=number / 100))
        for number in range(1, count + 1)
    }
    return SimpleNamespace(
        title="100 RPS", cpu_cores_by_subject=subjects, requests_by_subject={}, throttling_by_subject={}
    )


def names(count: int) -> list[str]:
    lines = str(replicas([stage(count)])).splitlines()[2:]
    return [line.strip("| ").split("|")[0].strip() for line in lines]


def test_up_to_forty_replicas_are_all_shown():
    assert names(40) == [f"app-{number}, CPU cores" for number in range(1, 41)]


def test_of_more_the_busiest_are_shown_and_the_others_counted():
    assert names(1_043) == [
        *(f"app-{number}, CPU cores" for number in range(1_004, 1_044)),
        "1,003 more replicas",
    ]
