"""Files outside the specification's folder: named in the report, and sent for an archive only unchanged."""

import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.servers.scripted import scripted

SECRET = b"id\nprivate-1\nprivate-2\n"


class Sink:
    """Accepts everything, and keeps the bodies."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def __call__(self, client, request: bytes) -> None:
        self.bodies.append(request.partition(b"\r\n\r\n")[2])
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def make_files(shared: Path) -> None:
    shutil.rmtree(shared, ignore_errors=True)
    shared.mkdir()
    (shared / "rows.csv").write_bytes(b"id\nr-1\nr-2\n")
    (shared / "body.bin").write_bytes(b"\x00\xffoutside")
    (shared / "part.bin").write_bytes(b"of a form")


def spec(home: Cli, port: int) -> Path:
    """A specification whose folder a relative path, an absolute path and a symbolic link lead out of."""
    requests = [
        {"name": "body", "method": "PUT", "body_file": str(home.folder.parent / "shared" / "body.bin")},
        {"name": "form", "method": "POST", "multipart": [{"name": "f", "file": "link.bin"}]},
        {"name": "row", "method": "POST", "body": "${row.id}"},
    ]
    return home.write(
        topology={"kind": "external", "url": f"http://127.0.0.1:{port}"},
        load={"variables": {"row": {"csv": "../shared/rows.csv"}}, "requests": requests},
        stages=[{"rps": 30, "duration": "1s", "name": "s"}],
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Iterator[tuple[Cli, Sink]]:
    """A run, while its server still runs."""
    place, sink = tmp_path_factory.mktemp("outside"), Sink()
    make_files(place / "shared")
    (place / "spec").mkdir()
    (place / "spec" / "link.bin").symlink_to("../shared/part.bin")
    home = Cli(place / "spec")
    with scripted(sink) as port:
        done = home("execute", spec(home, port), "--out", "run", "--no-preflight", "--quiet")
        assert done.returncode == 0, done.stderr
        yield home, sink


@pytest.fixture
def home(measured) -> Cli:
    """The folder of that run; the files that it sent are as they were."""
    home, _ = measured
    make_files(home.folder.parent / "shared")
    return home


@pytest.fixture
def sink(measured) -> Sink:
    """The server of that run, which has received nothing since."""
    _, sink = measured
    sink.bodies.clear()
    return sink


@pytest.fixture
def archive(home) -> Path:
    (path,) = (home.folder / "run").glob("*.zip")
    return path


def test_a_run_sends_them_and_its_report_and_archive_name_them(home, archive):
    body = str(home.folder.parent / "shared" / "body.bin")
    results = json.loads((home.folder / "run" / "results.json").read_text())
    report = (home.folder / "run" / "report.md").read_text()
    with zipfile.ZipFile(archive) as inside:
        names, readme = inside.namelist(), inside.read("README.md").decode()
        recorded = json.loads(inside.read("inputs.json"))
    verified = home.in_process("verify", archive)
    extracted = home.in_process("archive", "extract", archive, "out")

    assert results["run"]["files_outside"] == ["../shared/rows.csv", body, "link.bin"]
    listed = f"`../shared/rows.csv`, `{body}`, `link.bin`."
    assert f"Requests sent files from outside the specification's folder: {listed}" in report
    assert "must exist with the same content outside the specification's folder" in readme
    assert set(recorded) == {"../shared/rows.csv", body, "link.bin"}
    assert {name for name in names if name.startswith("inputs/")} == {
        "inputs/1-rows.csv", "inputs/2-body.bin", "inputs/3-link.bin",
    }  # fmt: skip
    assert verified.returncode == 0, verified.stderr
    assert extracted.returncode == 0
    assert {path.name for path in home.folder.parent.iterdir()} == {"shared", "spec", "spec-cache"}


def test_a_run_without_them_says_nothing_about_them(cli):
    with scripted(Sink()) as port:
        topology = {"kind": "external", "url": f"http://127.0.0.1:{port}"}
        done = cli("execute", cli.write(topology=topology), "--out", "run", "--quiet")

    assert done.returncode == 0, done.stderr
    assert "files_outside" not in (cli.folder / "run" / "results.json").read_text()
    assert "outside the specification's folder" not in (cli.folder / "run" / "report.md").read_text()


def test_a_rerun_names_them_before_anything_starts_and_sends_them(home, archive, sink):
    shown = home.in_process("execute", archive, "--dry-run", "--quiet")
    started = list(sink.bodies)
    done = home("execute", archive, "--out", "second", "--quiet")

    for name in ("rows.csv", "body.bin", "part.bin"):
        path = home.folder.parent / "shared" / name
        assert f"requests send the file {path}, outside the folder {home.folder}" in shown.stderr
    assert started == []
    assert shown.returncode == done.returncode == 0, done.stderr
    assert {b"\x00\xffoutside", b"r-1", b"r-2"} <= set(sink.bodies)


def another(file: Path) -> None:
    file.write_bytes(SECRET)


def missing(file: Path) -> None:
    file.unlink()


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def device(file: Path) -> None:
    file.unlink()
    file.symlink_to("/dev/zero")


@pytest.mark.parametrize("change", [another, missing, pipe, device])
@pytest.mark.parametrize("name", ["rows.csv", "body.bin", "part.bin"])
def test_an_archive_sends_no_other_file_of_this_machine(home, archive, sink, name, change):
    change(home.folder.parent / "shared" / name)
    done = home.in_process("execute", archive, "--out", "third", "--quiet")

    assert done.returncode == 3
    assert sink.bodies == []
    assert "requests send the file " in done.stderr
    assert "private" not in done.stdout + done.stderr
    expected = {
        another: "it is not the file that the run in",
        missing: "there is no file",
        pipe: "is not a regular file",
        device: "is not a regular file",
    }
    assert expected[change] in done.stderr
    assert not (home.folder / "third").exists()


def test_an_archive_that_records_no_digest_of_a_file_does_not_send_it(home, archive):
    folder = home.folder / "copy"
    shutil.copytree(archive.parent, folder, ignore=shutil.ignore_patterns("*.zip"))
    shutil.rmtree(folder / "provenance" / "inputs")
    (folder / "provenance" / "inputs.json").unlink()
    packed = home.in_process("archive", "pack", "copy", "--out", "forged.zip")
    done = home.in_process("execute", "forged.zip", "--base-dir", ".", "--dry-run")

    assert packed.returncode == 0, packed.stderr
    assert done.returncode == 3
    assert "it is not the file that the run in forged.zip sent" in done.stderr
