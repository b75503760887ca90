"""The table of replicas shows how the work was shared, and the busiest ones only where there are many."""

from types import SimpleNamespace

from runner.core.codes import Role
from runner.report.replica_table import COUNTED, replicas


def stage(count: int) -> SimpleNamespace:
    """Return what the table reads of a stage; the last replica is the busiest."""
    subjects = {
        f"app-{number}": SimpleNamespace(role=Role.APP, cpu=SimpleNamespace(avg=number / 100))
        for number in range(1, count + 1)
    }
    return SimpleNamespace(
        title="100 RPS",
        cpu_cores_by_subject=subjects,
        requests_by_subject={},
        throttling_by_subject={},
        counters=(),
        nodes=(),
    )


def accepted(replica: str, delta: int) -> SimpleNamespace:
    """Return what a node counted in the network of a replica."""
    counter = SimpleNamespace(scope=f"net:{replica}", name="tcp.passive_opens", delta=delta)
    return SimpleNamespace(counters=(counter,))


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


def rows(shown: SimpleNamespace) -> list[list[str]]:
    lines = [line for line in str(replicas([shown])).splitlines()[2:] if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]


def test_connections_show_the_shares_of_replicas_that_do_not_count_requests():
    shown = stage(2)
    shown.nodes = (accepted("app-1", 30), accepted("app-2", 90))

    assert rows(shown)[2:] == [
        ["app-1, connections accepted", "30 (25 %)"],
        ["app-2, connections accepted", "90 (75 %)"],
    ]
    shown.nodes = shown.nodes[:1]  # a share of the connections of only some replicas would be too large
    assert rows(shown)[2:] == [["app-1, connections accepted", "30"]]
    shown.requests_by_subject = {"app-1": 10, "app-2": 10}
    assert [row[0] for row in rows(shown)[2:]] == ["app-1, requests", "app-2, requests"]


def test_a_reader_is_told_which_requests_replicas_count():
    """They are counted between two readings of a page, so that their sum is not that of the load."""
    shown = stage(2)
    assert "Requests:" not in str(replicas([shown]))

    shown.requests_by_subject = {"app-1": 397, "app-2": 398}

    assert str(replicas([shown])).splitlines()[-2:] == ["", str(COUNTED)]
