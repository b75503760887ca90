"""A full disk: a tmpfs of a few kilobytes."""

import json
import shutil
from pathlib import Path


def test_results_that_do_not_fit_on_the_disk_are_written_elsewhere(cli, tiny_disk):
    done = cli("execute", cli.write(stages=[{"rps": 50, "duration": "3s"}]), "--out", tiny_disk / "run")

    rescued = Path(done.stdout.strip()).parent
    assert done.returncode == 3
    assert "No space left on device" in done.stderr
    assert str(rescued) in done.stderr
    results = json.loads((rescued / "results.json").read_text())
    shutil.rmtree(rescued)
    assert results["configurations"][0]["stages"][0]["requests"]["succeeded"] == 150
