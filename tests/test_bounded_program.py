"""Programs of the machine may print without end, hang, or leave children behind: the caller gets a reason."""

import os
import sys
import time

import pytest

from runner.bounded_program import DidNotFinish, run_bounded


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def test_the_output_and_the_status_are_returned(tmp_path):
    code = "import os, sys; print(os.getcwd(), os.environ['X']); print('e', file=sys.stderr); sys.exit(7)"

    finished = run_bounded(python(code), within_s=20, cwd=tmp_path, env={"X": "x"})

    assert finished == (7, f"{tmp_path} x\n".encode(), b"e\n")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_endless_output_ends_it(stream):
    code = f"import sys\nwhile True: sys.{stream}.write('x' * 10000)"

    with pytest.raises(DidNotFinish, match="it printed more than 1 MiB"):
        run_bounded(python(code), within_s=20, max_output=2**20)


@pytest.mark.parametrize(
    "code",
    [
        "import time; time.sleep(60)",
        "import os, time; os.close(1); os.close(2); time.sleep(60)",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)",
        "import os, time; os.fork() or time.sleep(60)",  # a child keeps the pipes
        "import time\nwhile True: print('.', flush=True); time.sleep(0.05)",
    ],
)
def test_a_program_that_does_not_end_is_ended(code):
    began_s = time.monotonic()

    with pytest.raises(DidNotFinish, match=r"it did not finish within 0\.5 s"):
        run_bounded(python(code), within_s=0.5)

    assert time.monotonic() - began_s < 20


def test_its_children_are_ended_too(tmp_path):
    pid_file = tmp_path / "pid"
    child = f"open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    code = f"import os, time\nif not os.fork(): {child}"
    with pytest.raises(DidNotFinish):
        run_bounded(python(code), within_s=1.5)

    pid = int(pid_file.read_text())
    deadline_s = time.monotonic() + 10
    while os.path.exists(f"/proc/{pid}") and b") Z " not in _stat(pid):  # noqa: PTH110
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def _stat(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123
            return stat.read()
    except OSError:
        return b") Z "


def test_a_program_that_is_none_is_an_error(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        run_bounded([str(tmp_path / "no")], within_s=1)
