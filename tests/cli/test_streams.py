"""Output that cannot be written costs the output; the results are on disk, and the exit code is the run's."""

import fcntl
import json
import os
import pty
import select
import subprocess
import threading
import time
from contextlib import suppress

import pytest

from runner.cli.streams import ProtectedStream
from tests.cli.conftest import ROOT, in_turn

ARCHIVE = next(map(str, ROOT.glob("reports/quickstart/*.zip")))


def full_disk():
    return os.open("/dev/full", os.O_WRONLY)


def terminal_that_hung_up():
    """Writing to it fails with EIO."""
    control, terminal = pty.openpty()
    os.close(control)
    return terminal


def pipe_without_reader():
    read_end, write_end = os.pipe()
    os.close(read_end)
    return write_end


def full_pipe(*, blocking):
    """The reader stays, and reads nothing: its end stays open in this process until the test ends."""
    read_end, write_end = os.pipe()
    unread.append(read_end)
    os.set_blocking(write_end, False)
    with suppress(BlockingIOError):
        while True:
            os.write(write_end, bytes(4096))
    os.set_blocking(write_end, blocking)
    return write_end


def terminal_with_little_room():
    """It takes some bytes more; its user has stopped the output, or the program that shows it hangs."""
    control, terminal = pty.openpty()
    unread.append(control)
    os.set_blocking(terminal, False)
    with suppress(BlockingIOError):
        while True:
            os.write(terminal, b"x" * 256)
    os.read(control, 700)
    os.set_blocking(terminal, True)
    return terminal


def not_open_for_writing():
    return os.open("/dev/null", os.O_RDONLY)


unread: list[int] = []

SINKS = {
    "full disk": full_disk,
    "terminal that hung up": terminal_that_hung_up,
    "pipe without reader": pipe_without_reader,
    "not open for writing": not_open_for_writing,
}
STUCK = {
    "pipe that nobody reads": lambda: full_pipe(blocking=True),
    "non-blocking pipe that nobody reads": lambda: full_pipe(blocking=False),
    "terminal that nobody reads": terminal_with_little_room,
}
OUTPUTS = {"report": [], "json": ["--json", "--quiet"]}


@pytest.fixture(autouse=True)
def close_unread_pipes():
    yield
    while unread:
        os.close(unread.pop())


def start(cli, *arguments, **streams):
    process = cli.popen(arguments, **streams)
    for stream in streams.values():
        with suppress(OSError):
            os.close(stream)
    return process


def run_that_fails_its_threshold(cli, *options, **streams):
    spec = cli.write(thresholds=["achieved >= 200%"], stages=[{"rps": 50, "duration": "500ms"}])
    arguments = ["execute", spec, "--out", "run", "--no-lock", "--no-calibrate", *options]
    return start(cli, *arguments, **streams)


def stage_of(cli):
    results = json.loads((cli.folder / "run" / "results.json").read_text())
    assert (cli.folder / "run" / "report.md").exists()
    assert list((cli.folder / "run").glob("*.zip"))
    return results["configurations"][0]["stages"][0]


@pytest.mark.parametrize(("sink", "options"), in_turn(SINKS, OUTPUTS))
def test_a_run_ends_with_its_own_code_if_nothing_can_be_printed(cli, sink, options):
    sink = SINKS[sink]
    process = run_that_fails_its_threshold(cli, *OUTPUTS[options], stdout=sink(), stderr=sink())

    assert process.wait(timeout=30) == 99
    assert stage_of(cli)["requests"]["succeeded"] == 25


@pytest.mark.parametrize("sink", ["full disk", "pipe that nobody reads", "terminal that nobody reads"])
def test_a_run_prints_its_result_if_only_stderr_cannot_be_written(cli, sink):
    process = run_that_fails_its_threshold(cli, stdout=subprocess.PIPE, stderr=(SINKS | STUCK)[sink]())
    deadline = time.monotonic() + 20
    while not (cli.folder / "run" / "report.md").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    for read_end in unread:  # a reader that comes late gets the summary
        threading.Thread(target=drain, args=[read_end], daemon=True).start()

    out, _ = process.communicate(timeout=30)

    assert (process.returncode, out) == (99, b"run/report.md\n")
    assert stage_of(cli)["requests"]["succeeded"] == 25


@pytest.mark.parametrize(("sink", "options"), in_turn(STUCK, OUTPUTS))
def test_a_run_ends_with_its_own_code_if_nobody_reads_what_it_prints(cli, sink, options):
    sink = STUCK[sink]
    process = run_that_fails_its_threshold(cli, *OUTPUTS[options], stdout=sink(), stderr=sink())

    assert process.wait(timeout=60) == 99
    assert stage_of(cli)["requests"]["succeeded"] == 25


def test_a_run_that_ends_by_a_signal_does_not_wait_for_a_reader(cli):
    spec = cli.write(stages=[{"rps": 50, "duration": "60s"}])
    arguments = ["execute", spec, "--out", "run", "--no-lock", "--no-calibrate"]
    process = start(cli, *arguments, stdout=full_pipe(blocking=True), stderr=full_pipe(blocking=True))
    deadline = time.monotonic() + 20
    while not (cli.folder / "run" / "run.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)

    process.terminate()

    assert process.wait(timeout=60) == -15
    assert (cli.folder / "run" / "results.json").exists()


def drain(read_end):
    with suppress(OSError):
        while os.read(read_end, 65536):
            pass


def test_a_run_says_that_its_result_could_not_be_printed(cli):
    process = run_that_fails_its_threshold(cli, stdout=full_disk(), stderr=subprocess.PIPE)

    _, err = process.communicate(timeout=30)

    assert process.returncode == 99
    assert b"stdout cannot be written: No space left on device" in err


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_what_a_run_writes_never_reaches_a_file_in_place_of_a_closed_stream(cli, closed):
    spec = cli.write(thresholds=["achieved >= 200%"], stages=[{"rps": 50, "duration": "500ms"}])
    words = ["execute", str(spec), "--out", "run", "--no-lock", "--no-calibrate"]
    command = ["sh", "-c", f'exec "$0" "$@" {closed}', *cli.words(words)]

    done = subprocess.run(command, cwd=cli.folder, env=cli.environment, check=False, capture_output=True)

    assert done.returncode == 99
    assert stage_of(cli)["requests"]["succeeded"] == 25
    (archive,) = (cli.folder / "run").glob("*.zip")
    assert cli.in_process("verify", archive).returncode == 0


COMMANDS = [
    ["--help"],
    ["execute", "--help"],
    ["--version"],
    ["schema"],
    ["schema", "--results"],
    ["doctor", "--json"],
    ["validate", "tiny.yaml"],
    ["execute", "--dry-run", "tiny.yaml"],
    ["report", ARCHIVE],
    ["report", ARCHIVE, "--format", "json"],
    ["archive", "ls", ARCHIVE],
    ["archive", "show", ARCHIVE, "results.json"],
    ["compare", str(ROOT / "tests/results/single-process.json"), str(ROOT / "reports/single-process")],
]


@pytest.mark.parametrize(
    ("command", "sink"),
    in_turn(COMMANDS, SINKS),
    ids=lambda value: value if isinstance(value, str) else " ".join(value)[:20],
)
def test_a_command_without_its_output_fails_with_a_sentence(cli, command, sink):
    code = 0 if sink == "pipe without reader" else 3
    cli.write()
    process = start(cli, *command, stdout=SINKS[sink](), stderr=subprocess.PIPE)

    _, err = process.communicate(timeout=30)

    assert process.returncode == code
    assert (b"stdout cannot be written" in err) == (code == 3)
    assert b"Traceback" not in err


@pytest.mark.parametrize("sink", SINKS.values(), ids=SINKS)
def test_an_error_has_its_code_although_it_cannot_be_shown(cli, sink):
    assert start(cli, "validate", "no.yaml", stdout=sink(), stderr=sink()).wait(timeout=30) == 2


@pytest.mark.parametrize(("name", "blocking"), [("stdout", True), ("stderr", False)])
def test_a_slow_reader_of_a_pipe_gets_everything(cli, name, blocking):
    spec = cli.write(stages=[{"rps": 1, "duration": "1s"}] + [{f"bad{n}": n} for n in range(200)])
    command = {"stdout": ["schema"], "stderr": ["validate", spec]}[name]
    expected = getattr(cli(*command), name)
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, blocking)
    fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
    other = {"stdout": "stderr", "stderr": "stdout"}[name]
    process = start(cli, *command, **{name: write_end, other: subprocess.DEVNULL})
    received = b""
    while select.select([read_end], [], [], 30)[0] and (chunk := os.read(read_end, 1024)):
        received += chunk
        time.sleep(0.002)
    os.close(read_end)

    assert process.wait(timeout=30) == (0 if name == "stdout" else 104)
    assert len(expected) > 4096
    assert received.decode() == expected


def test_a_stream_that_does_not_wait_looks_again_and_writes_when_it_is_read():
    write_end = full_pipe(blocking=True)
    stream = ProtectedStream(write_end)
    stream.patience_ms = 100
    began = time.monotonic()
    for _ in range(1000):
        stream.write(b"dropped\n")

    assert time.monotonic() - began < 1000 * stream.patience_ms / 1000 / 2
    assert os.read(unread[0], 1 << 20).strip(b"\0") == b""
    stream.write(b"written\n")
    os.set_blocking(unread[0], False)
    assert os.read(unread[0], 1 << 20) == b"written\n"
    os.close(write_end)
