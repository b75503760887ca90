"""What requests need beside the specification: secrets that stay secret, and files that are archived."""

import base64
import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.servers.scripted import scripted

TOKEN = "hunter2-Ä/q+\"x'"
LOAD = {
    "variables": {"token": {"env": "API_TOKEN"}},
    "requests": [
        {"name": "order", "method": "POST", "path": "/${token}", "query": {"t": "${token}"},
         "json": {"t": "${token}"}},
        {"name": "file", "method": "PUT", "path": "/file", "body_file": "data/small.bin"},
        {"name": "large", "method": "PUT", "path": "/large",
         "multipart": [{"name": "f", "file": "data/large.bin"}]},
    ],
}  # fmt: skip
SMALL, LARGE = bytes(range(256)), b"\xff" * (1024 * 1024)


class Echo:
    """Sends back what it received, as a careless server does: of the orders as an error."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def __call__(self, client, request: bytes) -> None:
        head, _, body = request.partition(b"\r\n\r\n")
        self.bodies.append(body)
        status = b"500 No" if head.startswith(b"POST") else b"200 OK"
        text = head[:2000] + b"\r\n\r\n" + body[:500]
        client.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(text), text))


def home_in(folder: Path) -> Cli:
    (folder / "data").mkdir()
    (folder / "data" / "small.bin").write_bytes(SMALL)
    (folder / "data" / "large.bin").write_bytes(LARGE)
    return Cli(folder)


@pytest.fixture
def home(tmp_path: Path) -> Cli:
    return home_in(tmp_path)


def spec(home: Cli, port: int, **load) -> Path:
    topology = {"kind": "external", "url": f"http://127.0.0.1:{port}"}
    stages = [{"rps": 30, "duration": "1s", "name": "s"}]
    return home.write(topology=topology, load=LOAD | load, stages=stages)


def everything(folder: Path) -> dict[str, bytes]:
    files = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for path in [path for path in files if path.endswith(".zip")]:
        with zipfile.ZipFile(path) as inside:
            files |= {f"{path}/{name}": inside.read(name) for name in inside.namelist()}
    return files


def leaks(files: dict[str, bytes]) -> list[str]:
    """Return the files that contain a part of the secret, however it is encoded."""
    return [name for name, content in files.items() if b"hunter2" in content]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    home, echo = home_in(tmp_path_factory.mktemp("secret")), Echo()
    with pytest.MonkeyPatch.context() as patch, scripted(echo) as port:
        patch.setenv("API_TOKEN", TOKEN)
        done = home("execute", spec(home, port), "--out", "run", "--no-calibrate", "--no-preflight")
        yield home, done, echo


def test_a_secret_is_sent_and_is_in_no_file_and_no_message(run):
    home, done, echo = run
    files = everything(home.folder / "run")

    assert json.dumps({"t": TOKEN}, ensure_ascii=False, separators=(",", ":")).encode() in echo.bodies
    assert leaks(files) == []
    assert "hunter2" not in done.stdout + done.stderr
    assert any(
        b"[API_TOKEN]" in content for name, content in files.items() if name.endswith("journal.ndjson")
    )


def test_small_files_are_in_the_archive_and_all_in_the_lock(run):
    home, _, echo = run
    (path,) = (home.folder / "run").glob("*.zip")
    with zipfile.ZipFile(path) as archive:
        lock = json.loads(archive.read("lock.json"))
        recorded = json.loads(archive.read("inputs.json"))
        names = {name for name in archive.namelist() if name.startswith("inputs/")}
        assert archive.read("inputs/2-small.bin") == SMALL
    verified = home.in_process("verify", path)

    assert SMALL in echo.bodies
    assert names == {"inputs/2-small.bin"}
    assert recorded["data/large.bin"]["bytes"] == len(LARGE)
    assert lock["files"] == {name: facts["sha256"] for name, facts in recorded.items()}
    assert verified.returncode == 0, verified.stderr
    assert "the files that requests sent" in verified.stdout


def test_a_rerun_says_which_file_has_changed_or_is_missing(run):
    home, *_ = run
    (path,) = (home.folder / "run").glob("*.zip")
    (home.folder / "data" / "small.bin").write_bytes(b"other")

    changed = home.in_process("execute", path, "--dry-run")
    (home.folder / "data" / "small.bin").unlink()
    missing = home.in_process("execute", path, "--dry-run")
    (home.folder / "data" / "small.bin").write_bytes(SMALL)

    assert changed.returncode == 0
    assert "  data/small.bin: " in changed.stderr
    assert "data/large.bin" not in changed.stderr
    assert missing.returncode == 3
    assert "there is no file data/small.bin" in missing.stderr


def test_a_missing_variable_ends_the_run_before_anything_starts(home, monkeypatch):
    monkeypatch.delenv("API_TOKEN", raising=False)
    done = home.in_process("execute", spec(home, 1), "--out", "run")

    assert done.returncode == 3
    assert "load.variables: API_TOKEN is not set in the environment" in done.stderr
    assert "export API_TOKEN" in done.stderr
    assert not (home.folder / "run").exists()


@pytest.mark.parametrize("value", ["two\nlines", "caf\udce9"])
def test_a_value_that_cannot_be_sent_ends_the_run_without_showing_it(home, monkeypatch, value):
    monkeypatch.setenv("API_TOKEN", value)
    requests = [{"name": "a", "headers": {"X-Token": "${token}"}}]
    done = home.in_process("execute", spec(home, 1, requests=requests), "--out", "run")

    assert done.returncode == 3
    assert "API_TOKEN" in done.stderr or "variable token" in done.stderr
    assert "lines" not in done.stderr.replace("one line", "")
    assert not (home.folder / "run").exists()


def test_a_missing_file_is_a_problem_of_the_specification(home):
    file = spec(home, 1)
    (home.folder / "data" / "small.bin").unlink()
    done = home.in_process("validate", file)

    assert done.returncode == 104
    assert (
        "load.requests[1].body_file: there is no file data/small.bin in the specification's folder"
        in done.stderr
    )


def test_an_archive_with_another_file_than_the_recorded_one_is_damaged(run):
    from runner.archive.inputs import check_kept
    from runner.core.errors import ArchiveDamaged

    home, *_ = run
    (path,) = (home.folder / "run").glob("*.zip")
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    check_kept(files, "")
    for wrong in (
        files | {"inputs/2-small.bin": b"x"},
        files | {"inputs/3-more.bin": b"x"},
        {name: content for name, content in files.items() if name != "inputs/2-small.bin"},
    ):
        with pytest.raises(ArchiveDamaged, match=r"inputs\.json does not describe inputs/"):
            check_kept(wrong, "")


def test_each_request_is_sent_once_before_the_load_with_its_secret(home, monkeypatch):
    monkeypatch.setenv("API_TOKEN", TOKEN)
    echo = Echo()
    with scripted(echo) as port:
        done = home("execute", spec(home, port), "--out", "run", "--no-calibrate")

    assert done.returncode == 3
    assert "1 of 3 requests, each sent once before the load, failed their checks" in done.stderr
    assert "POST /${token} (request order)" in done.stderr
    assert "received: " in done.stderr
    assert "[API_TOKEN]" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    assert len(echo.bodies) == 3


def test_a_stage_has_thresholds_of_its_own_and_about_one_request(home, monkeypatch):
    monkeypatch.setenv("API_TOKEN", TOKEN)
    stages = [
        {"rps": 30, "duration": "1s", "name": "a", "thresholds": ["errors{request=file} < 1%"]},
        {"rps": 30, "duration": "1s", "name": "b", "thresholds": ["errors{request=order} < 1%"]},
    ]
    with scripted(Echo()) as port:
        topology = {"kind": "external", "url": f"http://127.0.0.1:{port}"}
        file = home.write(topology=topology, load=LOAD, stages=stages)
        done = home("execute", file, "--out", "run", "--no-calibrate", "--no-preflight", "--quiet")

    assert done.returncode == 99, done.stderr
    results = json.loads((home.folder / "run" / "results.json").read_text())
    judged = [stage["thresholds"] for stage in results["configurations"][0]["stages"]]
    assert [[one["expr"], one["ok"], one["value"]] for [one] in judged] == [
        ["errors{request=file} < 1%", True, 0],
        ["errors{request=order} < 1%", False, 1],
    ]


def test_files_and_outputs_that_contain_a_secret_are_kept_by_their_digest_only(home, monkeypatch):
    monkeypatch.setenv("API_TOKEN", "hunter2-correct-horse")
    encoded = base64.b64encode(b"hunter2-correct-horse").decode()
    (home.folder / "data" / "body.bin").write_text(f"a {encoded} b")
    (home.folder / "data" / "rows.csv").write_text("id\nhunter2-correct-horse\n")
    (home.folder / "data" / "plain.jsonl").write_text('{"id": 1}\n')
    variables = {
        "token": {"env": "API_TOKEN"},
        "row": {"csv": "data/rows.csv"},
        "plain": {"jsonl": "data/plain.jsonl"},
        "line": {"command": ["sh", "-c", "echo $API_TOKEN"]},
    }
    requests = [
        {"name": "a", "path": "/${token}/${row.id}/${line}/${plain.id}"},
        {"name": "b", "method": "PUT", "body_file": "data/body.bin"},
    ]
    with scripted(Echo()) as port:
        path = spec(home, port, variables=variables, requests=requests)
        done = home("execute", path, "--out", "run", "--no-calibrate")

    assert done.returncode == 0, done.stderr
    files = everything(home.folder / "run")
    assert [name for name, content in files.items() if encoded.encode() in content] == []
    assert leaks(files) == []
    (archive,) = (home.folder / "run").glob("*.zip")
    recorded = json.loads(files[f"{archive}/inputs.json"])
    output = "the output of `sh -c 'echo $API_TOKEN'`"
    assert {name for name, facts in recorded.items() if "kept_as" in facts} == {"data/plain.jsonl"}
    assert recorded[output]["sha256"] == hashlib.sha256(b"hunter2-correct-horse\n").hexdigest()
    report = files[str(home.folder / "run" / "report.md")].decode()
    sentence = next(line for line in report.splitlines() if "content with a secret in it" in line)
    assert "data/rows.csv" in sentence
    assert "data/body.bin" in sentence
    assert "echo $API_TOKEN" in sentence
    assert "plain" not in sentence
    assert home("verify", archive).returncode == 0
