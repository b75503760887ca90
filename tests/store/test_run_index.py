"""The index of a folder of runs: what is in it, what it costs, and what cannot be in it."""

import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from runner.archive.results_from import read_results_of
from runner.core.errors import UsageError
from runner.core.live import Note, RunBegins, RunEnds, encode_live
from runner.store import run_index_read, run_index_scan
from runner.store.live_file import own_process
from runner.store.run_index import RunIndex, list_runs
from runner.store.run_names import LIVE
from runner.store.run_summary import RunState
from tests.serve.folders import add_archive, add_run, highest_sustained


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    place = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(place))
    return place


def listed(folder):
    return {run.path: run for run in list_runs(folder, read_results_of)}


def test_a_run_has_the_numbers_of_its_headline(tmp_path):
    add_run(tmp_path, "capacity", 3)

    (run,) = list_runs(tmp_path, read_results_of)

    assert (run.path, run.state, run.experiment) == ("capacity/run-00003", RunState.COMPLETE, "capacity")
    assert (run.rate, run.unit, run.is_sustained) == (highest_sustained("capacity"), "RPS", True)
    assert run.verdict == "app-cpu-limited"
    assert run.started_at == "2026-01-04T03:10:00+00:00"
    assert run.duration_s == 90
    assert max(run.curve) > highest_sustained("capacity") / 2


def test_a_threshold_counts_once_however_many_stages_failed_it(tmp_path):
    def check(expr, ok):
        return {"expr": expr, "ok": ok, "value": 1.0}

    path = add_run(tmp_path, "capacity", 3) / "results.json"
    content = json.loads(path.read_bytes())
    stages = [stage for one in content["configurations"] for stage in one["stages"]]
    for stage in stages:
        stage["thresholds"] = [check("errors < 1%", True), check("duration.p95 < 1ms", False)]
    path.write_text(json.dumps(content))

    (run,) = list_runs(tmp_path, read_results_of)

    assert len(stages) > 1
    assert (run.thresholds, run.thresholds_failed, run.thresholds_text) == (2, 1, "1 of 2 failed")


def test_a_run_that_failed_before_its_load_says_why(tmp_path):
    run = add_run(tmp_path, "shop", 1)
    for name in ("results.json", "journal.ndjson"):
        (run / name).unlink()
    begin = RunBegins("shop", "id", "", 1, 1, "another boot", 1, ())
    end = RunEnds(5.0, "failed", "1 of 2 requests failed their checks\n  GET /")
    lines = [encode_live(begin), *[encode_live(Note(1.0, "x" * 200))] * 1000, encode_live(end)]
    (run / LIVE).write_bytes(b"".join(lines))

    (row,) = listed(tmp_path).values()
    (run / LIVE).write_bytes(b"".join(lines)[:-20])
    (cut,) = list_runs(shutil.copytree(tmp_path, tmp_path.parent / "cut"), read_results_of)

    assert (row.state, row.experiment) == (RunState.FAILED, "shop")
    assert row.problem == "it ended before the load: 1 of 2 requests failed their checks GET /"
    assert cut.state is not RunState.FAILED


def test_what_cannot_be_read_says_why_and_where(tmp_path):
    for number, changes in enumerate(({"schema_version": 0}, {"configurations": [3]}), start=1):
        file = add_run(tmp_path, "shop", number) / "results.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    os.mkfifo(tmp_path / "pipe.zip")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("hello.txt", "hello")
    with zipfile.ZipFile(tmp_path / "packed-again.zip", "w") as archive:
        archive.writestr("run/results.json", "{}")

    rows = {path: (row.state, row.problem) for path, row in listed(tmp_path).items()}

    no_run = "results.json does not contain the results of a run"
    assert rows["shop/run-00001"] == (
        RunState.DAMAGED,
        f"{no_run}: its schema_version is no whole number from 1 on",
    )
    assert rows["shop/run-00002"][1].startswith(f"{no_run}: configurations[0]: ")
    assert rows["pipe.zip"] == (RunState.FOREIGN, "it is a pipe, not an archive")
    assert rows["photos.zip"] == (RunState.FOREIGN, "it is a ZIP of another program: it has no file of a run")
    assert rows["packed-again.zip"][0] is RunState.UNVERIFIED


def test_runs_are_sorted_by_their_start_and_not_by_their_names(tmp_path):
    for number in (7, 2, 11):
        add_run(tmp_path, number=number)

    assert [run.run_id for run in list_runs(tmp_path, read_results_of)] == [
        "0000000b",
        "00000007",
        "00000002",
    ]


def test_everything_that_is_no_run_is_listed_as_what_it_is(tmp_path):
    truncated = add_run(tmp_path, "shop", 1) / "results.json"
    truncated.write_text(truncated.read_text()[:500])
    (add_run(tmp_path, "shop", 2) / "results.json").unlink()
    deep = add_run(tmp_path, "shop", 3) / "results.json"
    deep.write_text("[" * 200_000)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "results.json").write_text('{"tests": 3}')
    pipe = tmp_path / "pipe"
    pipe.mkdir()
    os.mkfifo(pipe / "results.json")
    (pipe / "journal.ndjson").write_text("")
    (tmp_path / "away").symlink_to("/etc")
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "text.zip").write_text("not a ZIP")

    states = {path: run.state for path, run in listed(tmp_path).items()}

    assert states == {
        "shop/run-00001": RunState.DAMAGED,
        "shop/run-00002": RunState.INTERRUPTED,
        "shop/run-00003": RunState.DAMAGED,
        "foreign": RunState.FOREIGN,
        "pipe": RunState.DAMAGED,
        "away": RunState.LINK,
        "round": RunState.LINK,
        "text.zip": RunState.FOREIGN,
    }


def test_results_that_are_a_link_out_of_the_folder_are_not_read(tmp_path):
    outside = add_run(tmp_path / "outside", number=1)
    run = add_run(tmp_path / "runs", number=2)
    (run / "results.json").unlink()
    (run / "results.json").symlink_to(outside / "results.json")

    (row,) = list_runs(tmp_path / "runs", read_results_of)

    assert (row.state, row.rate) == (RunState.LINK, None)
    assert row.problem == "its results.json is a link"


def test_an_archive_has_numbers_and_a_changed_one_does_not_verify(tmp_path):
    add_archive(tmp_path)
    changed = add_archive(tmp_path, name="changed.zip")
    content = bytearray(changed.read_bytes())
    content[4000] ^= 1
    changed.write_bytes(content)

    rows = listed(tmp_path)

    assert (rows["kept.zip"].state, rows["kept.zip"].rate) == (RunState.COMPLETE, 1000)
    assert (rows["changed.zip"].state, rows["changed.zip"].rate) == (RunState.UNVERIFIED, None)


def test_the_archive_in_a_runs_folder_is_no_row_of_its_own(tmp_path):
    run = add_run(tmp_path)
    add_archive(run, name="quickstart.zip")

    (row,) = list_runs(tmp_path, read_results_of)

    assert row.archive == "quickstart.zip"


def test_a_run_is_read_again_only_if_it_changed(tmp_path, monkeypatch):
    first, second = (add_run(tmp_path, number=number) for number in (1, 2))
    list_runs(tmp_path, read_results_of)
    read = []
    original = run_index_read.summarize
    monkeypatch.setattr(
        run_index_read, "summarize", lambda *arguments: read.append(arguments[1].path) or original(*arguments)
    )

    list_runs(tmp_path, read_results_of)
    assert read == []

    results = json.loads((first / "results.json").read_text())
    results["experiment"]["title"] = "Another title"
    (first / "results.json").write_text(json.dumps(results))
    shutil.rmtree(second)

    assert [run.title for run in list_runs(tmp_path, read_results_of)] == ["Another title"]
    assert read == ["quickstart/run-00001"]


@pytest.fixture(params=["settled", "listed"])
def settles(request, monkeypatch):
    """Folders settle at once, as they do two seconds after they have changed; or never."""
    monkeypatch.setattr(run_index_scan, "_SETTLED_NS", -(10**18) if request.param == "settled" else 10**18)
    return request.param == "settled"


def test_a_folder_of_a_run_is_listed_again_only_if_it_or_a_file_of_the_run_changed(
    tmp_path, monkeypatch, settles
):
    changed, deep, other = (add_run(tmp_path, number=number) for number in (1, 2, 3))
    (deep / "more").mkdir()
    before = list_runs(tmp_path, read_results_of)
    opened = []
    original = os.scandir
    monkeypatch.setattr(
        run_index_scan.os, "scandir", lambda path: opened.append(Path(path).name) or original(path)
    )

    assert list_runs(tmp_path, read_results_of) == before
    assert {"run-00001", "run-00002", "run-00003"}.intersection(opened) == (
        {"run-00002"} if settles else {"run-00001", "run-00002", "run-00003"}
    )

    add_run(changed, number=7)
    add_archive(other, name="packed.zip")
    after = listed(tmp_path)
    assert after["quickstart/run-00001/quickstart/run-00007"].state is RunState.COMPLETE
    assert after["quickstart/run-00003"].archive == "packed.zip"


@pytest.mark.usefixtures("settles")
def test_what_was_added_renamed_cut_or_replaced_is_seen_although_the_rest_is_known(tmp_path):
    runs = [add_run(tmp_path, number=number) for number in range(1, 6)]
    list_runs(tmp_path, read_results_of)

    add_run(tmp_path, number=9)
    runs[0].rename(tmp_path / "renamed")
    with (runs[1] / "results.json").open("r+b") as file:  # the folder keeps its time
        file.truncate(500)
    shutil.rmtree(runs[2])
    runs[3].rename(runs[2])
    (runs[4] / "results.json").unlink()

    assert {path: (row.state, row.run_id) for path, row in listed(tmp_path).items()} == {
        "quickstart/run-00009": (RunState.COMPLETE, "00000009"),
        "renamed": (RunState.COMPLETE, "00000001"),
        "quickstart/run-00002": (RunState.DAMAGED, ""),
        "quickstart/run-00003": (RunState.COMPLETE, "00000004"),
        "quickstart/run-00005": (RunState.INTERRUPTED, run_file_id(runs[4])),
    }


def run_file_id(run):
    return json.loads((run / "run.json").read_text())["run"]["run_id"]


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"\x94\x01\xa1x\xc4\x01x\x90"])
def test_a_damaged_cache_is_thrown_away(tmp_path, cache, content):
    add_run(tmp_path)
    before = list_runs(tmp_path, read_results_of)
    (file,) = cache.rglob("*.msgpack")
    file.write_bytes(content)

    assert list_runs(tmp_path, read_results_of) == before
    assert file.read_bytes() != content


def test_the_cache_is_outside_the_folder_and_readable_by_its_owner_only(tmp_path, cache):
    add_run(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    list_runs(tmp_path, read_results_of)

    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    (file,) = cache.rglob("*.msgpack")
    assert file.stat().st_mode & 0o777 == 0o600


def test_names_that_are_no_utf8_are_kept(tmp_path):
    add_run(tmp_path).rename(tmp_path / "a\udcff\udcfe")

    assert {*listed(tmp_path)} == {*listed(tmp_path)} == {"a\udcff\udcfe"}


def test_a_run_in_progress_is_one_until_its_runner_has_ended(tmp_path):
    run = add_run(tmp_path, number=1)
    (run / "results.json").unlink()
    begin(run, own_process())
    index = RunIndex(tmp_path)

    assert listed(tmp_path)["quickstart/run-00001"].state is RunState.RUNNING

    begin(run, (1, 1, *own_process()[2:]))
    index.take(index.look())
    assert [one.path for one in index.waiting()] == ["quickstart/run-00001"]
    row = listed(tmp_path)["quickstart/run-00001"]
    assert (row.state, row.experiment) == (RunState.INTERRUPTED, "quickstart")
    assert "--resume" in row.hint


def test_a_run_in_progress_is_not_read_again_at_once_unless_that_is_asked_for_or_its_files_change(tmp_path):
    run = add_run(tmp_path, number=1)
    results = (run / "results.json").read_bytes()
    (run / "results.json").unlink()
    begin(run, own_process())
    index = RunIndex(tmp_path)
    index.take(index.look(), again=False)
    (candidate,) = index.waiting()
    index.put([run_index_read.summarize(tmp_path, candidate, read_results_of)])

    index.take(index.look(), again=False)
    assert index.waiting() == []
    index.take(index.look(), again=True)
    assert [one.path for one in index.waiting()] == ["quickstart/run-00001"]
    (run / "results.json").write_bytes(results)
    index.take(index.look(), again=False)
    assert [one.path for one in index.waiting()] == ["quickstart/run-00001"]


def begin(run, process):
    pid, started, boot, namespace = process
    record = {
        "type": "run", "experiment": "quickstart", "run_id": "1", "started_at": "2026-01-01T00:00:00+00:00",
        "pid": pid, "process_started": started, "boot_id": boot, "pid_namespace": namespace, "trials": [],
    }  # fmt: skip
    (run / LIVE).write_text(json.dumps(record) + "\n")


def test_a_folder_that_is_not_there_is_an_error_that_says_what_to_give(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        list_runs(tmp_path / "nowhere", read_results_of)
