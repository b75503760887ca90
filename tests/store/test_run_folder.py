import os
import subprocess
import sys

from runner.store.run_folder import scratch_folder


def test_a_full_disk_leaves_the_older_file_unchanged(tmp_path):
    script = """
import resource, signal, sys
from pathlib import Path
from runner.core.errors import OutputError
from runner.store.run_folder import RunFolder
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    RunFolder(Path(sys.argv[1])).write("report.md", bytes(5000))
except OutputError as error:
    print(error.message)
"""
    (tmp_path / "report.md").write_text("older")

    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True
    )

    assert "cannot write" in done.stdout
    assert (tmp_path / "report.md").read_text() == "older"
    assert os.listdir(tmp_path) == ["report.md"]


def test_scratch_folders_of_killed_runs_are_removed_and_those_of_live_runs_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead, living = tmp_path / "loadproof-run-999999999-x", tmp_path / f"loadproof-run-{os.getpid()}-x"
    foreign = tmp_path / "loadproof-run-notes"
    for folder in (dead, living, foreign):
        folder.mkdir()

    with scratch_folder() as own:
        assert own.is_dir()
        assert not dead.exists()

    assert living.exists()
    assert foreign.exists()
    assert not own.exists()
