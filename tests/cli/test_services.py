"""Runs with services: what the results contain, and that nothing is left in any phase."""

import csv
import json
import os
import signal
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from runner.stack.reaper import look_up
from tests.cli.conftest import app_command
from tests.cli.test_execute import results_of, wait_for
from tests.databases import redis

pytestmark = pytest.mark.redis
REDIS = ["redis-server", "--port", "{port}", "--bind", "127.0.0.1", "--save", ""]
SLOW = [sys.executable, "-c", "import time; time.sleep(60)", "{port}"]
APP = {"command": app_command(), "ready_within": "10s"}


def spec(cli, services, *, stages=({"rps": 50, "duration": "1s"},), **changes):
    topology = {"kind": "process", "services": services, "app": APP, **changes.pop("topology", {})}
    return cli.write(topology=topology, stages=list(stages), **changes)


def test_a_service_is_in_the_results_the_report_the_table_and_the_lock(cli):
    app = {**APP, "env": {"CACHE": "redis://${cache.host}:${cache.port}"}}
    path = spec(
        cli,
        {"cache": {"command": REDIS, "env": {"KEY": "value"}}},
        topology={"app": app},
        thresholds=["cpu.cache.avg < 1", "memory.cache.peak < 1GiB"],
    )

    run = cli("execute", path, "--out", "run")

    assert run.returncode == 0
    results = results_of(cli.folder / "run")
    (configuration,) = results["configurations"]
    (stage,) = configuration["stages"]
    service = configuration["topology"]["services"]["cache"]
    assert (service["origin"], service["env_names"]) == ("started", ["KEY"])
    assert stage["memory_mib"]["cache"]["avg"] > 1
    assert stage["cpu_cores"]["cache"] is not None
    assert stage["cpu_cores_by_subject"]["cache"]["role"] == "cache"
    report = (cli.folder / "run" / "report.md").read_text()
    assert "| service cache | `redis-server --port " in report
    assert "Average memory by component (MiB):" in report
    (archive,) = (cli.folder / "run").glob("*.zip")
    with zipfile.ZipFile(archive) as opened:
        lock = json.loads(opened.read("lock.json"))
        assert b"Ready to accept connections" in opened.read("logs/tiny/cache.log")
    assert lock["configurations"]["tiny"]["services"] == {
        "cache": {"origin": "started", "env_names": ["KEY"]}
    }
    table = cli("report", "run", "--format", "csv")
    (row,) = csv.DictReader(table.stdout.splitlines())
    assert float(row["memory_mib.cache.peak"]) > 1

    again = cli("execute", archive, "--out", "again", "--base-dir", cli.folder)

    assert (
        "starts the service cache: `redis-server --port '{port}' --bind 127.0.0.1 --save ''`" in again.stderr
    )
    assert "  with KEY=value" in again.stderr


def test_a_service_that_is_killed_in_a_stage_is_named(cli):
    process = cli.start(
        "execute",
        spec(cli, {"cache": {"command": REDIS}}, stages=[{"rps": 20, "duration": "60s"}]),
        "--out",
        "run",
    )
    wait_for(process, "offering")
    os.kill(redis_in(cli.folder), signal.SIGKILL)

    process.communicate(timeout=60)

    (stage,) = results_of(cli.folder / "run")["configurations"][0]["stages"]
    (event,) = stage["events"]
    assert event["message"] == "the service cache (redis-server) was killed by SIGKILL"
    assert process.returncode == 4


def redis_in(folder) -> int:
    """Return the pid of the only Redis that was started in a folder."""
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*") if look_up_name(path) == "redis-server"]
    (pid,) = [pid for pid in pids if folder_of(pid) == folder]
    return pid


def folder_of(pid) -> Path | None:
    """Return the working folder of a process, None if it has ended: another test's may end meanwhile."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cwd").readlink()
    return None


def look_up_name(path) -> str:
    process = look_up(int(path.name))
    return process.name if process else ""


@pytest.mark.parametrize(
    ("number", "phase"),
    [
        (signal.SIGINT, "starting the service slow"),
        (signal.SIGTERM, "offering"),
        (signal.SIGKILL, "starting the service slow"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_signal_in_any_phase_leaves_no_service(cli, number, phase):
    """The fixture checks that nothing is left."""
    services = {"cache": {"command": REDIS}}
    if phase != "offering":
        services["slow"] = {"command": SLOW}
    process = cli.start(
        "execute", spec(cli, services, stages=[{"rps": 20, "duration": "60s"}]), "--out", "run"
    )
    wait_for(process, phase)

    process.send_signal(number)

    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert process.returncode == -number


def test_a_watched_service_that_ends_is_noted_and_breaks_nothing(cli, tmp_path):
    with redis(tmp_path) as url:
        port = int(url.rpartition(":")[2])
        path = spec(
            cli, {}, stages=[{"rps": 20, "duration": "3s"}], topology={"watch": {"cache": {"port": port}}}
        )
        process = cli.start("execute", path, "--out", "run")
        wait_for(process, "offering")
        pid = redis_in(tmp_path)
        os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=60)

    (configuration,) = results_of(cli.folder / "run")["configurations"]
    (stage,) = configuration["stages"]
    assert (process.returncode, stage["status"], stage["events"]) == (0, "complete", [])
    assert configuration["topology"]["services"]["cache"]["pids"] == [pid]
    assert (
        f"the watched service cache lost redis-server (pid {pid})"
        in (cli.folder / "run" / "report.md").read_text()
    )
