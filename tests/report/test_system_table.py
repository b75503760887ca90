"""The table of a system's components lists its services."""

from runner.core.system_facts import ImageFacts, LimitFacts, ServiceFacts, SystemDescription
from runner.report.system_table import system_table

IMAGE = ImageFacts("redis:7", "sha256:" + "a" * 64, None)


def test_each_service_is_a_row_with_how_it_came_to_be():
    table = system_table(
        SystemDescription(
            kind="docker",
            cpus=(1,),
            services={
                "db": ServiceFacts(origin="started", command=("postgres", "-p", "5432"), port=5432),
                "cache": ServiceFacts(
                    origin="started",
                    image=IMAGE,
                    port=6379,
                    limits=LimitFacts(0.5, 64.0),
                    files={"redis.conf": "0" * 64},
                ),
                "queue": ServiceFacts(origin="watched", port=5672, pids=(12, 13), replicas=2),
                "one": ServiceFacts(origin="watched", pids=(14,)),
            },
        )
    )

    image = "`redis:7` (id `sha256:aaaaaaaaaaaa`)"
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    assert rows == [
        ["service db", "`postgres -p 5432`, port 5432"],
        [
            "service cache",
            f"{image}, port 6379, limits cpus 0.5, memory\\_mib 64.0, with `redis.conf`, read-only",
        ],
        ["service queue", "ran already, pids 12 and 13, port 5672"],
        ["service one", "ran already, pid 14"],
        ["CPUs", "app, services and proxy are pinned to 1"],
    ]
