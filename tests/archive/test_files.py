"""What an archive holds follows from the run's folder and from nothing else."""

import json
import os
import shutil

import pytest

from runner.archive.files import MAX_LOG_BYTES, content, tail
from runner.core.errors import StoredRunError
from runner.experiment.load import read_spec
from tests.archive.folders import run_folder


@pytest.fixture
def run(tmp_path):
    return run_folder("docker-4k", tmp_path / "run")


def test_the_same_folder_elsewhere_gives_the_same_bytes(run, tmp_path, monkeypatch):
    first = content(run)
    shutil.copytree(run, tmp_path / "deep" / "er" / "copy", dirs_exist_ok=True)
    for path in run.rglob("*"):
        os.utime(path, (0, 0))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.chdir(tmp_path)

    assert content(tmp_path / "deep" / "er" / "copy") == first
    assert list(content(run)) == sorted(first)


def test_it_contains_the_files_of_the_run_byte_for_byte(run):
    files = content(run)

    for name in ("spec.yaml", "run.json", "journal.ndjson", "results.json", "report.md"):
        assert files[name] == (run / name).read_bytes()
    assert {name for name in files if name.startswith("charts/")} == {
        f"charts/{path.name}" for path in (run / "charts").iterdir()
    }
    assert "report.html" not in files


def test_the_resolved_specification_has_every_override_and_reads_back(run):
    begun = json.loads((run / "run.json").read_bytes())
    begun["run"]["overrides"] = ["load.max_in_flight=77"]
    (run / "run.json").write_text(json.dumps(begun), encoding="utf-8")

    resolved = content(run)["spec.resolved.yaml"]

    again = read_spec(resolved, source="resolved")
    assert again == read_spec(
        (run / "spec.yaml").read_bytes(), source="spec", overrides=["load.max_in_flight=77"]
    )


def test_it_contains_what_was_recorded_during_the_run_and_nothing_else_of_that_folder(run):
    kept = run / "provenance"
    for name in ("host-before.json", "rendered/a/nginx.conf", "logs/a/app-1.log", "logs/a/core", "x.bin"):
        (kept / name).parent.mkdir(parents=True, exist_ok=True)
        (kept / name).write_text(name, encoding="utf-8")
    (kept / "logs" / "a" / "link.log").symlink_to("/etc/passwd")

    files = content(run)

    assert files["host-before.json"] == b"host-before.json"
    assert files["rendered/a/nginx.conf"] == b"rendered/a/nginx.conf"
    assert files["logs/a/app-1.log"] == b"logs/a/app-1.log"
    assert not {"logs/a/core", "x.bin", "logs/a/link.log"} & set(files)


def test_the_end_of_a_long_log_is_kept_in_complete_lines():
    text = b"".join(b"line %d\n" % number for number in range(100_000))

    kept = tail(text)

    first, second, *_ = kept.splitlines()
    assert len(kept) <= MAX_LOG_BYTES
    assert kept.endswith(b"line 99999\n")
    assert second.startswith(b"line ")
    assert first == b"(%d bytes before this are left out)" % (len(text) - len(kept) + len(first) + 1)


@pytest.mark.parametrize("text", [b"x" * (MAX_LOG_BYTES * 2), b"x" * MAX_LOG_BYTES * 2 + b"\n"])
def test_one_endless_line_is_cut_too(text):
    assert MAX_LOG_BYTES // 2 < len(tail(text)) <= MAX_LOG_BYTES


@pytest.mark.parametrize("name", ["spec.yaml", "run.json", "journal.ndjson", "results.json"])
def test_the_error_names_a_missing_file(run, name):
    (run / name).unlink()

    with pytest.raises(StoredRunError, match=name):
        content(run)


def test_the_error_names_a_damaged_line_of_the_journal_and_a_cut_off_last_line_is_ignored(run):
    journal = run / "journal.ndjson"
    whole = content(run)["histograms.hlog"]
    journal.write_bytes(journal.read_bytes() + b'{"trial": {"ord')
    assert content(run)["histograms.hlog"] == whole

    journal.write_bytes(b"{}\n" + journal.read_bytes())
    with pytest.raises(StoredRunError, match="line 1"):
        content(run)
