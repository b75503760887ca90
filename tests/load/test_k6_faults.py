"""A k6 that is missing, old, silent, stopped or dead gives a clear message or a fact, and leaves nothing."""

import os
import signal
import tempfile
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import trio

from runner.core.errors import EnvironmentLacks
from runner.load.k6 import binary, engine, process, schedule
from runner.load.k6.binary import find_k6, which_k6
from tests.load.k6_stage import Run, offer, order
from tests.servers.by_path import Seen, server_by_path

REAL = which_k6()
needs_k6 = pytest.mark.skipif(REAL is None and os.environ.get("CI") != "true", reason="k6 is not installed")
VERSION = "echo 'k6 v1.1.0 (commit/0, go1.24.4, linux/amd64)'"


@pytest.fixture
def server():
    with server_by_path() as seen:
        yield seen


@pytest.fixture
def tmp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The parent of temporary folders, to check that none is left."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tmp: Path):
    """Puts a fake k6 first on PATH; the arguments are its actions for `version` and for `run`."""

    def write(version: str = VERSION, run: str = ":") -> Path:
        path = tmp_path / "bin" / "k6"
        path.parent.mkdir()
        path.write_text(f'#!/bin/bash\nif [ "$1" = version ]; then\n{version}\nelse\n{run}\nfi\n')
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
        return path

    return write


def alive_with(text: str) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(text in part for part in process.info["cmdline"] or ())
    ]


async def refused(stage=None) -> EnvironmentLacks:
    with pytest.RaisesGroup(EnvironmentLacks, flatten_subgroups=True) as raised:
        await offer(stage or order(1))
    (error,) = raised.value.exceptions
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    return error


async def test_without_k6_the_error_explains_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))

    with pytest.raises(EnvironmentLacks, match="not on PATH") as raised:
        await find_k6()

    assert "documentation" in raised.value.hint


def test_k6_is_also_found_beside_the_interpreter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    beside = tmp_path / "k6"
    beside.write_text("#!/bin/sh\n")
    beside.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))

    assert which_k6() == str(beside)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("echo 'k6 v0.57.0 (commit/50afd82c18, go1.23.6, linux/amd64)'", r"k6 v0\.57\.0, which is too old"),
        ("echo some other program", "does not print a version"),
        ("yes rubbish", "does not print a version"),
        ("head -c 100000 /dev/urandom", "does not print a version"),
        ("exit 1", "does not print a version"),
        ("sleep 60", "does not print a version"),
        ("trap '' TERM; while true; do sleep 0.1; done", "does not print a version"),
    ],
)
async def test_anything_but_k6_1_0_or_newer_is_refused(
    fake, version: str, message: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(binary, "VERSION_S", 0.3)
    monkeypatch.setattr(process, "TERM_S", 0.2)
    path = fake(version)

    with pytest.raises(EnvironmentLacks, match=message) as raised:
        await find_k6()

    assert str(path) in raised.value.message
    assert "install k6 1.0" in raised.value.hint
    assert alive_with(str(path)) == []


async def test_a_k6_that_cannot_be_executed_is_refused(fake):
    fake().write_bytes(b"\x7fELF but not really")

    with pytest.raises(EnvironmentLacks, match="does not print") as raised:
        await find_k6()

    assert raised.value.details


@pytest.mark.parametrize("newer", ["k6 v1.0.0 (x)", "k6 v2.3.4-rc1 (x)", "k6 v10.0.0"])
async def test_newer_versions_are_accepted(fake, newer: str):
    fake(f"echo '{newer}'")

    assert (await find_k6())[1] == newer.removeprefix("k6 v").split(" (", maxsplit=1)[0]


async def test_a_k6_that_exits_at_once_shows_its_last_lines(fake, tmp: Path):
    fake(run="echo starting; echo 'no space for virtual users' >&2; exit 7")

    error = await refused()

    assert error.message == "k6 exited at once with code 7"
    assert error.details == ("starting", "no space for virtual users")
    assert list(tmp.iterdir()) == []


@pytest.mark.parametrize("run", ["yes rubbish", "trap '' TERM; while true; do sleep 0.1; done"])
async def test_a_k6_that_never_becomes_ready_is_ended(
    fake, run: str, tmp: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(engine, "READY_S", 0.4)
    monkeypatch.setattr(process, "TERM_S", 0.2)
    path = fake(run=run)

    error = await refused()

    assert "was not ready within" in error.message
    assert alive_with(str(path)) == []
    assert list(tmp.iterdir()) == []


async def test_settings_that_k6_lacks_are_refused():
    stage = order(1)
    load = stage.load.model_copy(update={"arrivals": "poisson", "when_full": "queue"})

    error = await refused(replace(stage, load=load))

    assert error.message == "k6 cannot offer arrivals: poisson and when_full: queue"


@pytest.mark.k6
@needs_k6
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_killed_k6_is_a_fact_and_the_seconds_before_are_kept(
    server: Seen, number: signal.Signals, tmp: Path
):
    async def kill(run: Run) -> None:
        await trio.sleep(1.5)
        os.kill(run.spawned[0], number)

    run = await offer(order(server.port, rps=50, duration=4.0), kill)
    (sentence,) = run.facts.lost_workers

    assert ("SIGKILL" if number == signal.SIGKILL else "exited with code 105") in sentence
    assert "of 200 planned requests" in sentence
    assert not run.facts.complete
    assert 35 <= run.total("sent") == run.total("succeeded") <= len(server.requests) < 100
    assert run.facts.planned == 200
    assert list(tmp.iterdir()) == []


@pytest.mark.k6
@needs_k6
async def test_a_k6_that_hangs_is_ended_and_does_not_block_the_run(
    server: Seen, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(schedule, "LINGER_S", 0.2)
    monkeypatch.setattr(process, "TERM_S", 0.2)

    async def stop(run: Run) -> None:
        await trio.sleep(0.6)
        os.kill(run.spawned[0], signal.SIGSTOP)

    run = await offer(order(server.port, timeout=0.1), stop)

    assert "k6 hung" in run.facts.lost_workers[0]
    assert not psutil.pid_exists(run.spawned[0])


@pytest.mark.k6
@needs_k6
async def test_k6_stopped_for_two_seconds_makes_the_stage_invalid(server: Seen):
    async def stop(run: Run) -> None:
        await trio.sleep(0.5)
        os.kill(run.spawned[0], signal.SIGSTOP)
        await trio.sleep(2.0)
        os.kill(run.spawned[0], signal.SIGCONT)

    run = await offer(order(server.port, rps=50, duration=3.0), stop)

    assert "was stopped or got no CPU" in run.facts.lost_workers[0]
    assert run.total("scheduled") == run.facts.planned == 150
    assert run.total("sent") == len(server.requests)


@pytest.mark.k6
@needs_k6
async def test_a_k6_that_does_not_start_its_schedule_is_ended(server: Seen):
    async def stop(run: Run) -> None:
        os.kill(run.spawned[0], signal.SIGSTOP)

    run = await offer(order(server.port), stop)

    assert "did not start its schedule" in run.facts.lost_workers[0]
    assert len(server.requests) == 0
    assert not psutil.pid_exists(run.spawned[0])


@pytest.mark.k6
@needs_k6
@pytest.mark.parametrize(
    "with_it", ["rm -f summary.json", "echo '{' > summary.json", "echo '{}' > summary.json"]
)
async def test_without_a_readable_summary_the_stage_is_invalid(server: Seen, fake, with_it: str):
    fake(run=f'{REAL} "$@"; {with_it}')
    run = await offer(order(server.port, rps=20))

    assert "without a readable summary" in run.facts.lost_workers[0]
    assert run.facts.stated_ms["duration"] is None


@pytest.mark.k6
@needs_k6
async def test_exit_code_99_is_no_fault_of_k6(server: Seen, fake):
    fake(run=f'{REAL} "$@"; exit 99')
    run = await offer(order(server.port, rps=20))

    assert run.facts.complete
    assert run.facts.lost_workers == ()
    assert run.total("succeeded") == 20


@pytest.mark.k6
@needs_k6
async def test_a_cancelled_stage_leaves_no_process_and_no_folder(server: Seen, tmp: Path):
    run = Run()

    async def cancel(_: Run) -> None:
        while not run.reported:  # noqa: ASYNC110  (what reports is under test)
            await trio.sleep(0.1)
        scope.cancel()

    with trio.CancelScope() as scope:
        await offer(order(server.port, rps=50, duration=60.0), cancel, run)

    assert scope.cancelled_caught
    assert not psutil.pid_exists(run.spawned[0])
    assert list(tmp.iterdir()) == []
    assert run.reported[0].index == 0
    assert 40 <= run.reported[0].succeeded <= 55
