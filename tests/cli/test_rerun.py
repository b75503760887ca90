"""Archives from the command line: verified, listed, extracted, and run again."""

import hashlib
import json
import re
import shlex
import shutil
import zipfile
from pathlib import Path

import pytest
from msgspec.structs import replace

from runner.archive.files import content
from runner.archive.pack import pack
from runner.cli.jobs import resumed_job
from runner.store.journal import encode_entry, read
from runner.store.reanalyze import reanalyze_folder
from runner.store.results_file import encode_results
from runner.store.run_file import JOURNAL, parse_run_file
from tests.archive.folders import fresh_run
from tests.cli.conftest import Cli, app_command

SLOW = "SMALL_APP_DELAY_S"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with one real run in it, narrowed to one stage of two."""
    cli = Cli(tmp_path_factory.mktemp("again"))
    stages = [{"rps": rps, "duration": "1s", "name": f"at {rps}"} for rps in (40, 30)]
    app = {"command": app_command(), "ready_within": "10s", "env": {"NOT_SECRET": "1"}}
    spec = cli.write(stages=stages, topology={"kind": "process", "app": app})
    done = cli("execute", spec, "--stage", "at 40", "--set", "stages[0].rps=50", "--out", "run")
    assert done.returncode == 0, done.stderr
    spec.unlink()
    return cli


@pytest.fixture(scope="module")
def archive(home) -> Path:
    (path,) = (home.folder / "run").glob("*.zip")
    return path


def results_of(folder: Path):
    return json.loads((folder / "results.json").read_text())


def test_an_archive_is_verified_listed_shown_and_extracted(home, archive, tmp_path):
    verified = home.in_process("verify", archive)
    listed = home.in_process("archive", "ls", archive)
    shown = home.in_process("archive", "show", archive, "spec.yaml")
    missing = home.in_process("archive", "show", archive, "spec.yml")
    out = home.in_process("archive", "extract", archive, tmp_path / "out")

    assert verified.returncode == 0
    assert "every number follows" in verified.stdout
    assert "journal.ndjson: what was measured" in verified.stdout
    assert "logs/tiny/app.log: output of the programs" in verified.stdout
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert verified.stdout.splitlines()[-1] == listed.stdout.splitlines()[-1] == f"sha256 {digest}"
    assert shown.stdout == (home.folder / "run" / "spec.yaml").read_text()
    assert (missing.returncode, "did you mean 'spec.yaml'?" in missing.stderr) == (2, True)
    assert out.stdout == f"{tmp_path / 'out'}\n"
    assert (tmp_path / "out" / "results.json").read_bytes() == (
        home.folder / "run" / "results.json"
    ).read_bytes()


def test_the_same_run_is_packed_into_the_same_archive(home, archive, tmp_path):
    packed = home.in_process("archive", "pack", "run", "--out", tmp_path / "again.zip")
    same = home.in_process("archive", "diff", archive, tmp_path / "again.zip")

    assert packed.returncode == 0
    assert (tmp_path / "again.zip").read_bytes() == archive.read_bytes()
    assert same.stdout == "the archives have the same content\n"


def test_a_rerun_repeats_the_experiment_and_shows_whether_it_is_reproduced(home, archive):
    done = home("execute", archive, "--out", "again", "--fail-unless-reproduced")

    again = home.folder / "again"
    assert done.stdout == "again/report.md\n"
    # 50 requests cannot show a doubling; a busy machine may make the second run much slower
    assert (done.returncode, "Inconclusive. " in done.stderr) == (4, True) or done.returncode == 99
    assert "the smallest detectable change in p95 Duration is " in done.stderr or done.returncode == 99
    assert "small_app" in done.stderr.partition("starting the process stack")[0]
    assert (again / "spec.yaml").read_bytes() == (home.folder / "run" / "spec.yaml").read_bytes()
    assert results_of(again)["run"]["overrides"] == ["stages[0].rps=50"]
    (stage,) = results_of(again)["configurations"][0]["stages"]
    assert (stage["name"], stage["requests"]["scheduled"]) == ("at 40", 50)
    reproduction = json.loads((again / "reproduction.json").read_text())
    assert reproduction["then"]["id"] == results_of(home.folder / "run")["run"]["id"]
    verdict = {"cannot be told": "inconclusive"}.get(reproduction["verdict"], reproduction["verdict"])
    assert (again / "reproduction.md").read_text().startswith(f"# Reproduction: {verdict}\n")
    (new,) = again.glob("*.zip")
    assert home.in_process("verify", new).returncode == 0
    commented = home.in_process("comment", new, "--baseline", archive, "--dry-run")
    assert commented.returncode == 0, commented.stderr
    assert "at 40" in commented.stdout


def test_a_slower_service_is_not_reproduced_and_the_metric_is_named(home, archive, monkeypatch):
    monkeypatch.setenv(SLOW, "0.05")

    done = home("execute", archive, "--out", "slow", "--fail-unless-reproduced")

    # on a busy machine the stage may become suspect, and the result inconclusive; but it is never reproduced
    assert done.returncode == (99 if "Not reproduced" in done.stderr else 4), done.stderr
    assert re.search(r"(Not reproduced|Inconclusive)\. at 40: .*p95 Duration \(ms\) \+", done.stderr)


def test_a_dry_run_shows_what_would_be_started_and_starts_nothing(home, archive):
    done = home.in_process("execute", archive, "--dry-run")

    assert done.returncode == 0
    assert "50 RPS" in done.stdout
    assert "tests.servers.small_app" in done.stderr
    assert "tiny:   with NOT_SECRET=1\n" in done.stderr
    assert f" in the folder {home.folder}\n" in done.stderr


def test_quiet_shows_what_would_be_started_and_nothing_else(home, archive):
    done = home.in_process("execute", archive, "--quiet", "--dry-run")

    lines = done.stderr.splitlines()
    assert done.returncode == 0
    assert [line.partition(":")[0] for line in lines] == ["tiny"] * 3
    assert "tests.servers.small_app" in lines[0]


@pytest.fixture(scope="module")
def relative_archive(home) -> Path:
    """The archive of a run whose command is a path relative to the current directory."""
    script = home.folder / "moved" / "serve"
    script.parent.mkdir()
    python, *words = (shlex.quote(word) for word in app_command())
    script.write_text(f'#!/bin/sh\necho "started in $(pwd)"\nexec {python} {" ".join(words[:-4])} "$@"\n')
    script.chmod(0o755)
    app = {"command": ["./serve", "--port", "{port}"], "ready_within": "10s", "env_from": ["API_TOKEN"]}
    spec = home.write(topology={"kind": "process", "app": app})
    (home.folder / "serve").symlink_to("moved/serve")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("API_TOKEN", "do-not-show-me")
        done = home("execute", spec, "--out", "relative")
    assert done.returncode == 0, done.stderr
    (home.folder / "serve").unlink()
    spec.unlink()
    (path,) = (home.folder / "relative").glob("*.zip")
    return path.rename(home.folder / "relative.zip")


def test_base_dir_is_where_relative_commands_start(home, relative_archive, monkeypatch):
    monkeypatch.setenv("API_TOKEN", "do-not-show-me")
    moved = home.folder / "moved"

    lost = home("execute", relative_archive, "--out", "lost")
    done = home("execute", relative_archive, "--out", "with-base", "--base-dir", "moved", "--quiet")

    assert lost.returncode == 3
    assert "./serve does not exist" in lost.stderr
    assert done.returncode == 0, done.stderr
    assert f"tiny: starts `./serve --port '{{port}}'` in the folder {moved}\n" in done.stderr
    assert "tiny:   with API_TOKEN from your environment, not shown here\n" in done.stderr
    assert "do-not-show-me" not in done.stderr
    assert resumed_job(home.folder / "with-base").commands_in == moved
    assert resumed_job(home.folder / "relative").commands_in is None
    (new,) = (home.folder / "with-base").glob("*.zip")
    log = home.in_process("archive", "show", new, "logs/tiny/app.log").stdout
    assert log.startswith(f"started in {moved}\n")
    assert home.in_process("verify", new).returncode == 0


def test_a_value_cannot_pretend_to_be_another_line(home, tmp_path):
    trick = "1'\nthis host and its software have not changed"
    app = {"command": app_command(), "ready_within": "10s", "env": {"TRICK": trick}}
    spec = home.write(topology={"kind": "process", "app": app})
    assert home("execute", spec, "--out", tmp_path / "run").returncode == 0
    spec.unlink()
    (path,) = (tmp_path / "run").glob("*.zip")

    done = home.in_process("execute", path, "--dry-run", "--quiet")

    (line,) = (line for line in done.stderr.splitlines() if "this host" in line)
    assert line.startswith("tiny:   with TRICK=")


@pytest.mark.parametrize("more", [["--stage", "at 30"], ["--prove"], ["--base-dir", "nowhere"]])
def test_an_archive_is_run_unchanged(home, archive, more):
    assert home.in_process("execute", archive, *more).returncode == 2


def test_base_dir_and_fail_unless_reproduced_need_an_archive(home):
    spec = home.write()

    assert home.in_process("execute", spec, "--base-dir", ".").returncode == 2
    assert home.in_process("execute", spec, "--fail-unless-reproduced").returncode == 2
    spec.unlink()


def damaged(whole: bytes) -> bytes:
    return whole[:500] + bytes([whole[500] ^ 1]) + whole[501:]


def with_another_number(whole: bytes, folder: Path) -> bytes:
    """Return an archive whose manifest is right and one of whose numbers is forged."""
    path = folder / "whole.zip"
    path.write_bytes(whole)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if "manifest" not in name}
    results = json.loads(files["results.json"])
    results["configurations"][0]["stages"][0]["duration_ms"]["p95"] = 0.001
    files["results.json"] = json.dumps(results, indent=1, ensure_ascii=False).encode() + b"\n"
    return pack(files)


def test_a_damaged_or_forged_archive_is_refused_and_nothing_is_run(home, archive, tmp_path):
    flipped, forged = tmp_path / "flipped.zip", tmp_path / "no-suffix"
    flipped.write_bytes(damaged(archive.read_bytes()))
    forged.write_bytes(with_another_number(archive.read_bytes(), tmp_path))

    for command in (["execute", "--out", tmp_path / "out"], ["report"]):
        done = home.in_process(*command, flipped)
        assert (done.returncode, "its bytes were changed" in done.stderr) == (104, True), command
    for command in (["verify"], ["execute", "--out", tmp_path / "out"]):
        done = home.in_process(*command, forged)
        assert done.returncode == 104
        assert "duration_ms.p95 is 0.001, but the data give" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_authorization_of_an_archives_run_does_not_carry_over(home, tmp_path):
    run = fresh_run("docker-4k", tmp_path / "run")
    text = (run / "spec.yaml").read_text()
    head, _, rest = text.partition("topology:")
    load = rest[rest.index("\nload:") :].replace("load:\n", "load:\n  allow_hosts: [192.0.2.7]\n", 1)
    (run / "spec.yaml").write_text(f'{head}topology: {{kind: external, url: "http://192.0.2.7:80"}}\n{load}')
    begun = parse_run_file((run / "run.json").read_bytes(), "run.json")
    (run / "run.json").write_bytes(replace(begun, authorized=True).to_json())
    entries = [replace(entry, trial=replace(entry.trial, topology=None)) for entry in read(run / JOURNAL)]
    (run / JOURNAL).write_bytes(b"".join(encode_entry(entry) + b"\n" for entry in entries))
    (run / "results.json").write_bytes(encode_results(reanalyze_folder(run)))
    (run / "report.md").unlink()
    path = tmp_path / "aimed.zip"
    path.write_bytes(pack(content(run)))

    done = home.in_process("execute", path, "--out", tmp_path / "out")

    assert done.returncode == 2
    assert "sends load to http://192.0.2.7:80" in done.stderr
    assert "confirm that you are authorized" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_build_folder_is_compared_with_the_lock(home, tmp_path):
    path = tmp_path / "docker.zip"
    path.write_bytes(pack(content(fresh_run("docker-4k", tmp_path / "run"))))

    for name in ("experiments", "app_server"):
        shutil.copytree(name, tmp_path / "moved" / name)
    (tmp_path / "moved" / "app_server" / "more.py").write_text("")

    lost = home.in_process("execute", path, "--dry-run")
    moved = home.in_process("execute", path, "--dry-run", "--base-dir", tmp_path / "moved" / "experiments")

    assert lost.returncode == 3
    assert "--base-dir" in lost.stderr
    assert moved.returncode == 0
    assert "docker-4k.build.content: " in moved.stderr


def test_the_zip_of_another_program_is_not_read_as_a_specification(home, tmp_path):
    path = tmp_path / "spec.yaml"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("spec.yaml", "version: 1\n")

    done = home.in_process("execute", path)

    assert done.returncode == 104
    assert "packed by another program" in done.stderr
