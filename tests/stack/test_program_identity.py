"""What a process runs is told by digests, which change with the program, its code and its commit."""

import subprocess
import sys
from contextlib import contextmanager

import pytest

from runner.core.observed_facts import Subject
from runner.stack.program_identity import program_identities
from runner.stack.reaper import start_ticks

SERVICE = "import time\nprint('ready', flush=True)\ntime.sleep(60)\n"
GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]


@contextmanager
def running(*words, folder):
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def identity(folder, **changes):
    with running(sys.executable, "service.py", folder=folder) as pid:
        subject = Subject("app", "app", "tree", pid, start_ticks(pid))
        return program_identities([subject], **changes)["app"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "service.py").write_text(SERVICE)
    return tmp_path


def test_the_same_program_has_the_same_identity_and_a_changed_script_another(folder):
    first, again = identity(folder, within_s=20), identity(folder, within_s=20)
    (folder / "service.py").write_text(SERVICE + "# changed\n")

    changed = identity(folder, within_s=20)

    assert first == again
    assert len(first.program) == len(first.code) == 64
    assert changed.program == first.program
    assert changed.code != first.code


@pytest.mark.parametrize(
    "words",
    [
        ["/"],
        ["."],
        [".."],
        ["-d", "/"],
        ["--save", ""],
        ["x:/"],
        [":"],
        ["..."],
        ["\udcff" * 3],
        ["a" * 5000],
    ],
)
def test_any_argument_is_survived(folder, words):
    code = "import time; print('ready', flush=True); time.sleep(60)"
    with running(sys.executable, "-c", code, *words, folder=folder) as pid:
        subject = Subject("app", "app", "tree", pid, start_ticks(pid))
        identities = program_identities([subject], within_s=0.3)

    assert identities["app"].name.startswith("python")


def test_a_module_is_found_below_the_working_directory(folder):
    (folder / "shop").mkdir()
    (folder / "shop" / "main.py").write_text("app = 1\n")
    code = "import time; print('ready', flush=True); time.sleep(60)"
    with running(sys.executable, "-c", code, "shop.main:app", folder=folder) as pid:
        subject = Subject("app", "app", "tree", pid, start_ticks(pid))
        first = program_identities([subject], within_s=20)["app"]
        (folder / "shop" / "main.py").write_text("app = 2\n")
        changed = program_identities([subject], within_s=20)["app"]

    assert len(first.code) == len(changed.code) == 64
    assert first.code != changed.code


def test_a_commit_and_what_was_changed_since_are_told_apart(folder):
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*GIT, *words], cwd=folder, check=True)
    clean = identity(folder, within_s=20)
    (folder / "service.py").write_text(SERVICE + "# changed\n")

    dirty = identity(folder, within_s=20)

    assert len(clean.commit) == 40
    assert clean.changes == ""
    assert dirty.commit == clean.commit
    assert dirty.changes


def test_nothing_is_read_when_there_is_no_time_and_nothing_of_a_process_that_is_gone(folder):
    assert identity(folder, within_s=0).code == ""
    assert program_identities([Subject("app", "app", "tree", 2**22 + 1, 1)]) == {}
