import json
import subprocess
import sys

import pytest

from runner.store import chart_process


@pytest.fixture(scope="module", autouse=True)
def _draw_in_one_process(nothing_outlives_its_file):
    """Draw all charts of a file in one process; `tests/store` tests the process that the program starts."""
    words = [sys.executable, "-m", "tests.report.charts.drawer"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as drawer:

        def output(request: bytes) -> bytes:
            drawer.stdin.write(request + b"\n")
            drawer.stdin.flush()
            return b"".join(drawer.stdout.readline() for _ in json.loads(request))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(chart_process, "_output_of_child", output)
            yield
        drawer.stdin.close()
