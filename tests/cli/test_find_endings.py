"""How a search ends whatever the machine can do: without a rate, or by a signal; and a matrix."""

import os
import signal
import time

from tests.cli.test_find import results_of, search


def test_a_search_without_a_sustained_rate_succeeds_and_gives_no_number(cli):
    spec = cli.write(stages=search(["duration.p50 < 1us"], max_rps=40))

    done = cli("execute", spec, "--out", "run")

    (entry,) = results_of(cli.folder / "run")["configurations"][0]["capacity"]
    assert done.returncode == 0, done.stderr
    rates = {
        probe["rps"] for probe in entry["probes"]
    }  # once more if other programs disturbed the first probe
    assert (entry["ending"], entry["rps"], rates) == ("never", None, {10})
    assert "No rate was sustained. 10 RPS, the lowest rate allowed, failed" in done.stderr.replace("\n", " ")


def test_an_interrupted_search_keeps_its_probes(cli):
    spec = cli.write(stages=search(["achieved >= 50%"], max_rps=80, start=10, precision=0.005))

    process = cli.start("execute", spec, "--out", "run")
    lines = cli.folder / "run" / "journal.ndjson"
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline and (not lines.exists() or lines.read_text().count("\n") < 2):
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)

    (entry,) = results_of(cli.folder / "run")["configurations"][0]["capacity"]
    assert process.returncode in {-signal.SIGINT, 130}, err
    assert entry["rps"] is None
    assert 2 <= len(entry["probes"]) <= 4
    assert "The search stopped at" in entry["sentence"]


def test_a_matrix_runs_every_combination(cli):
    spec = cli.write(matrix={"load.connection": ["new", "keep-alive"], "topology.app.env.MODE": [1, "two"]})

    done = cli("execute", spec, "--out", "run")

    assert done.returncode == 0, done.stderr
    assert [configuration["name"] for configuration in results_of(cli.folder / "run")["configurations"]] == [
        "connection-new-mode-1",
        "connection-new-mode-two",
        "connection-keep-alive-mode-1",
        "connection-keep-alive-mode-two",
    ]
