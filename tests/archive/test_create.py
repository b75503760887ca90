"""An archive stands under its name whole or not at all, whatever happens while it is written."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runner.archive.create import archive_folder
from runner.archive.unpack import read_archive
from runner.core.errors import OutputError, StoredRunError
from runner.store.results_file import read_results
from runner.store.run_folder import RESULTS
from tests.archive.folders import fresh_run

KILLED = """
import os, signal, sys
from pathlib import Path
from runner.archive.create import archive_folder
os.fsync = lambda fd: os.kill(os.getpid(), signal.SIGKILL)
archive_folder(Path(sys.argv[1]))
"""


@pytest.fixture
def run(tmp_path):
    return fresh_run("docker-4k", tmp_path / "run")


def test_it_is_written_to_the_runs_folder_under_name_and_id(run):
    path = archive_folder(run)

    results = read_results(run / RESULTS)
    assert path == run / f"docker-4k-{results.run.id}.zip"
    assert read_archive(path).files["spec.yaml"] == (run / "spec.yaml").read_bytes()


def test_packing_again_gives_the_same_bytes_even_beside_the_first_archive(run, tmp_path):
    first = archive_folder(run).read_bytes()

    assert archive_folder(run).read_bytes() == first
    assert archive_folder(run, tmp_path / "again.zip").read_bytes() == first


def test_a_kill_while_writing_leaves_no_partial_archive_and_an_older_one_unharmed(run):
    def killed() -> int:
        command = [sys.executable, "-c", KILLED, str(run)]
        return subprocess.run(command, env=os.environ | {"PYTHONPATH": "."}, check=False).returncode

    assert killed() == -signal.SIGKILL
    assert list(run.glob("*.zip")) == []
    path = archive_folder(run)
    whole = path.read_bytes()
    assert killed() == -signal.SIGKILL
    assert path.read_bytes() == whole


def test_a_full_disk_leaves_no_file_and_is_an_error(run, tiny_disk):
    with pytest.raises(OutputError, match="No space left on device"):
        archive_folder(run, tiny_disk / "run.zip")

    assert list(tiny_disk.iterdir()) == []


def test_the_error_for_a_run_without_run_json_names_it(run):
    (run / "run.json").unlink()

    with pytest.raises(StoredRunError, match=r"no run\.json"):
        archive_folder(run)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(StoredRunError):
        archive_folder(Path(tmp_path))
