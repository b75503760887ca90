"""Homes, users, caches, folders and limits that a command can find: it works, or it says what is missing."""

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner.cli.exit_codes import ENVIRONMENT, exit_code_of
from runner.cli.main import app
from runner.cli.resource_faults import path_fault, resource_fault
from runner.core.errors import EnvironmentLacks
from tests.cli.conftest import ROOT, in_turn

ARCHIVE = next(map(str, ROOT.glob("reports/quickstart/*.zip")))
STAGES = [{"rps": 20, "duration": "300ms"}]


PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "errors": "surrogateescape"}
IN_TURN = """
import json, sys
from runner.cli.exit_codes import exit_code_of
from runner.cli.main import app
for words in json.loads(sys.argv[1]):
    if code := exit_code_of(app, words):
        sys.exit(code)
"""


def run(cli, *arguments, before="", prefix=(), **environment):
    """Run a command from a shell, after other commands; a variable that is None is not set."""
    words = [*prefix, "sh", "-c", f'{before}\nexec "$0" "$@"', *cli.words(arguments)]
    return ended(start(cli, words, environment))


def run_in_turn(cli, *commands, prefix=(), **environment):
    """Run commands in one new interpreter, up to the first that fails; see `run`."""
    orders = json.dumps([list(map(str, command)) for command in commands])
    return ended(start(cli, [*prefix, sys.executable, "-c", IN_TURN, orders], environment))


def start(cli, words, environment):
    variables = {name: value for name, value in (cli.environment | environment).items() if value is not None}
    return subprocess.Popen(words, cwd=cli.folder, env=variables, **PIPES)


def run_there(cli, *arguments, cwd=None, **environment):
    """Run a command in a folder with these variables more, as `Cli.popen` starts it."""
    return ended(cli.popen(arguments, cwd=cwd, env=environment, **PIPES))


def ended(process) -> subprocess.CompletedProcess:
    with process:
        out, err = process.communicate(timeout=120)
    assert "Traceback" not in out + err
    assert "this is a bug" not in err
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def execution(cli, *more, out="run", spec=None) -> list:
    return ["execute", spec or cli.write(stages=STAGES), "--out", out, "--no-lock", *more]


def succeeded(folder) -> int:
    results = json.loads((folder / "results.json").read_text())
    return results["configurations"][0]["stages"][0]["requests"]["succeeded"]


@pytest.fixture
def read_only(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    folder = tmp_path / "read-only"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize(
    ("cache", "temporary"),
    [
        ("below a file", "missing"),
        ("relative", "read-only"),
        ("read-only", "a file"),
        ("full", "full"),
    ],
)
def test_a_cache_or_a_temporary_folder_that_cannot_be_used_only_costs_time(
    cli, cache, temporary, read_only, tiny_disk
):
    (cli.folder / "file").write_text("")
    places = {
        "a file": cli.folder / "file",
        "below a file": cli.folder / "file" / "cache",
        "missing": cli.folder / "not" / "there",
        "relative": "relative",
        "read-only": read_only,
        "full": tiny_disk,
    }
    (tiny_disk / "filler").write_bytes(bytes(8192))

    done = run_there(
        cli,
        *execution(cli),
        HOME=str(cli.folder / "home"),  # where a relative cache folder is not taken
        XDG_CACHE_HOME=str(places[cache]),
        TMPDIR=str(places[temporary]),
    )

    assert done.returncode == 0, done.stderr
    assert "calibrating" in done.stderr
    assert succeeded(cli.folder / "run") == 6
    assert not (cli.folder / "relative").exists()
    assert [file.name for file in tiny_disk.rglob("*") if file.is_file()] == ["filler"]


UNKNOWN_USER = ["unshare", "--user", "--map-user=54321", "--map-group=54321"]


def may_be_unknown_user() -> bool:
    """Whether this machine has an `unshare` that maps users, and allows it."""
    return subprocess.run([*UNKNOWN_USER, "true"], check=False, capture_output=True).returncode == 0


EVERYTHING = (["report", "run", "--format", "html"], ["doctor"], ["clean"], ["archive", "pack", "run"])


@pytest.mark.parametrize("home", [None, "/proc"])
@pytest.mark.skipif(not may_be_unknown_user(), reason="no user can be mapped here")
def test_a_user_without_an_entry_and_a_home_can_run_everything(cli, home):
    commands = execution(cli), *EVERYTHING

    done = run_in_turn(cli, *commands, prefix=UNKNOWN_USER, HOME=home, XDG_CACHE_HOME=None)

    assert done.returncode == 0, done.stderr
    assert succeeded(cli.folder / "run") == 6


@pytest.mark.parametrize("home", ["", "/nonexistent"])
@pytest.mark.skipif(not may_be_unknown_user(), reason="no user can be mapped here")
def test_a_user_without_an_entry_can_have_a_home_that_is_none(cli, home):
    commands = ["report", ARCHIVE, "--format", "html"], ["doctor"]

    done = run_in_turn(cli, *commands, prefix=UNKNOWN_USER, HOME=home, XDG_CACHE_HOME=None)

    assert done.returncode == 0, done.stderr


READ_ONLY_TMP = (
    "for place in /tmp /var/tmp; do"
    "  mount --bind $place $place && mount -o remount,ro,bind $place || exit 77; done"
)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")
def test_a_machine_without_any_temporary_folder_is_told_what_to_do(cli):
    """The current folder is the last that is tried, so it is read-only too."""
    spec = cli.write(stages=STAGES)
    home = Path("/dev/shm") / f"loadproof-test-{os.getpid()}"
    home.mkdir()
    try:
        (home / "tiny.yaml").write_bytes(spec.read_bytes())
        before = f"mount --bind {home} /mnt\n{READ_ONLY_TMP}\ncd /proc"
        done = run(
            cli, "execute", home / "tiny.yaml", "--out", home / "run", "--no-lock", before=before,
            prefix=["unshare", "--mount"], TMPDIR=None, PYTHONPYCACHEPREFIX=None, XDG_CACHE_HOME=None,
        )  # fmt: skip
    finally:
        shutil.rmtree(home)

    assert done.returncode == 3, done.stderr
    assert "no temporary folder can be created" in done.stderr
    assert "set TMPDIR" in done.stderr


def test_results_are_shown_if_no_disk_has_space_for_them(cli, tiny_disk):
    spec = cli.write(stages=[{"rps": 50, "duration": "3s"}])

    words = execution(cli, "--no-calibrate", "--json", spec=spec, out=tiny_disk / "run")
    done = run_there(cli, *words, TMPDIR=str(tiny_disk))

    assert done.returncode == 3
    assert "No space left on device" in done.stderr
    results = json.loads(done.stdout)
    assert results["configurations"][0]["stages"][0]["requests"]["succeeded"] == 150


GONE = "mkdir gone && cd gone && rmdir ../gone"


def run_here(cli, *arguments):
    """Run a command in this process, in a folder that was deleted."""
    folder = cli.folder / "gone"
    folder.mkdir()
    with contextlib.chdir(folder):
        folder.rmdir()
        return cli.in_this_folder(*arguments)


@pytest.mark.parametrize(
    ("how", "arguments", "code"),
    [
        (run, ["--help"], 0),
        (run_here, ["schema"], 0),
        (run_here, ["doctor"], 0),
        (run_here, ["clean"], 0),
        (run_here, ["validate", "{}/tiny.yaml"], 0),
        (run_here, ["report", ARCHIVE], 0),
        (run_here, ["verify", ARCHIVE], 0),
        (run_here, ["archive", "ls", ARCHIVE], 0),
        (run_here, ["execute", "--dry-run", "{}/tiny.yaml"], 0),
        (run_here, ["validate", "tiny.yaml"], 2),
        (run_here, ["archive", "extract", ARCHIVE, "there"], 3),
        (run, ["execute", "{}/tiny.yaml", "--no-lock"], 3),
        (run_here, ["init", "--out", "a.yaml", "--", "false", "{{port}}"], 3),
    ],
)
def test_a_current_folder_that_was_deleted(cli, how, arguments, code):
    cli.write(stages=STAGES)
    keywords = {"before": GONE} if how is run else {}

    done = how(cli, *(word.format(cli.folder) for word in arguments), **keywords)

    assert done.returncode == code, done.stderr
    assert (code == 0) == (not done.stderr or done.stderr == "there is nothing to remove\n")


def test_a_run_with_absolute_paths_needs_no_current_folder_or_says_so(cli):
    done = run(cli, *execution(cli, "--no-calibrate", out=cli.folder / "run"), before=GONE)

    if done.returncode:
        assert done.returncode == 3
        assert "the current directory" in done.stderr
    else:
        assert succeeded(cli.folder / "run") == 6


def test_a_folder_whose_name_is_not_utf8(cli):
    folder = cli.folder / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    spec = cli.write(stages=STAGES)
    shutil.move(spec, folder / "tiny.yaml")

    done = run_there(cli, *execution(cli, "--no-calibrate", spec="tiny.yaml"), cwd=folder)

    assert done.returncode == 0, done.stderr
    assert succeeded(folder / "run") == 6
    for command in (
        ["report", "run"],
        ["archive", "pack", "run"],
        ["verify", *map(str, folder.glob("run/*.zip"))],
    ):
        assert run_there(cli, *command, cwd=folder).returncode == 0


COMMANDS = [
    ["--help"],
    ["schema"],
    ["validate", "tiny.yaml"],
    ["doctor"],
    ["clean"],
    ["execute", "--dry-run", "tiny.yaml"],
    ["execute", "tiny.yaml", "--no-lock", "--no-calibrate"],
    ["report", ARCHIVE],
    ["report", ARCHIVE, "--format", "html"],
    ["verify", ARCHIVE],
    ["compare", str(ROOT / "tests/results/single-process.json"), str(ROOT / "reports/single-process")],
    ["archive", "ls", ARCHIVE],
    ["init", "--out", "a.yaml", "--", sys.executable, "-m", "http.server", "{port}"],
]
LIMITS = ["ulimit -n 12", "ulimit -n 40", "ulimit -v 200000", "ulimit -v 100000"]


@pytest.mark.parametrize(
    ("command", "limit"),
    in_turn(COMMANDS, LIMITS),
    ids=lambda value: value if isinstance(value, str) else " ".join(value)[:24],
)
def test_with_low_limits_a_command_works_or_says_what_to_raise(cli, command, limit):
    cli.write(stages=STAGES)

    done = run(cli, *command, before=limit, PYTHONDONTWRITEBYTECODE="1")

    assert done.returncode in {0, 3}, (done.returncode, done.stderr)
    if done.returncode:
        assert "error: " in done.stderr
        assert "hint: " in done.stderr


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EMFILE, "Too many open files", "a.txt"), "may not have more files open: a.txt"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "processes or threads"),
        (RuntimeError("can't start new thread"), "processes or threads"),
        (MemoryError(), "not enough memory"),
        (OSError(errno.EROFS, "Read-only file system"), "read-only"),
        (OSError(errno.EFBIG, "File too large", "a.txt"), "than this process may write: a.txt"),
        (ExceptionGroup("", [ValueError(), ExceptionGroup("", [MemoryError()])]), "not enough memory"),
    ],
)
def test_what_runs_out_is_named_wherever_it_is_noticed(error, words):
    outer = RuntimeError("outer")
    outer.__cause__ = error

    for noticed in (error, outer):
        fault = resource_fault(noticed)
        assert isinstance(fault, EnvironmentLacks)
        assert words in fault.message
        assert fault.hint


def test_a_machine_without_proc_is_told_to_mount_it(monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda path: str(path) != "/proc/self")

    fault = resource_fault(FileNotFoundError(errno.ENOENT, "No such file", "/proc/meminfo"))

    assert fault is not None
    assert fault.message == "the folder /proc is empty: /proc/meminfo"


@pytest.mark.parametrize(
    "error", [ValueError(), OSError(errno.ENOENT, "x"), RuntimeError("x"), KeyError("x")]
)
def test_another_error_is_no_lack_of_resources(error):
    assert resource_fault(error) is None


@pytest.mark.parametrize("command", [["runs"], ["report"], ["archive", "pack"]])
def test_a_path_longer_than_any_file_has_is_no_bug(capsys, command):
    code = exit_code_of(app, [*command, "x" * 300])

    assert code == ENVIRONMENT
    error = capsys.readouterr().err
    assert error.startswith("error: a path is longer than the file system allows: xxx")
    assert "hint: give a shorter one" in error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied", b"a\xff"), "permission denied: a\udcff"),
        (ExceptionGroup("", [OSError(errno.EIO, "Input/output error", "b")]), "a disk cannot be read"),
        (PermissionError(errno.EACCES, "Permission denied"), None),
        (ExceptionGroup("", [ValueError(), PermissionError(errno.EACCES, "", "a")]), None),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "a"), None),
    ],
)
def test_a_path_that_cannot_be_used_is_named(error, words):
    fault = path_fault(error)

    assert fault is None if words is None else fault and words in fault.message and fault.hint


def test_an_interpreter_that_started_with_closed_streams_keeps_them_occupied(tmp_path):
    script = (
        "import os, runner.__main__ as entry\n"
        "entry._open_missing_streams()\n"
        f"file = os.open({str(tmp_path / 'file')!r}, os.O_WRONLY | os.O_CREAT)\n"
        "raise SystemExit(file)"
    )
    command = f"exec '{sys.executable}' -c \"$0\" <&- >&- 2>&-"

    done = subprocess.run(["sh", "-c", command, script], cwd=ROOT, check=False)

    assert done.returncode > 2
