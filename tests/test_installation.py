"""What the installation says of itself, and how an extra is added to it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import app_server.extra
from runner import installation
from runner.installation import Source, how_to_add, installer, source

ROOT = Path(__file__).parents[1]


def git(folder, *words):
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    command = ["git", "-C", folder, *identity, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository with a package, which the module takes for its own."""
    package = tmp_path / "repository" / "runner"
    package.mkdir(parents=True)
    (package / "a.py").write_text("a = 1\n")
    git(package.parent, "init", "--quiet")
    git(package.parent, "add", "--all")
    git(package.parent, "commit", "--quiet", "--message=first")
    monkeypatch.setattr(installation, "_PACKAGE", package)
    monkeypatch.setattr(installation, "_NOTE", package / "source_commit.json")
    return package


def test_a_checkout_is_asked_for_its_commit_and_its_changes(checkout):
    commit = git(checkout, "rev-parse", "HEAD")

    assert source() == Source(commit, changed=False)

    (checkout / "a.py").write_text("a = 2\n")
    assert source() == Source(commit, changed=True)


def test_what_was_noted_at_the_build_comes_before_git(checkout):
    (checkout / "source_commit.json").write_text('{"commit": "abc", "changed": false}')

    assert source() == Source("abc", changed=False)


@pytest.mark.parametrize("note", ["", "[1]", '{"commit": 7}', "\xff"])
def test_a_damaged_note_is_as_good_as_none(checkout, note):
    (checkout / "source_commit.json").write_bytes(note.encode("latin1"))

    assert source().commit == git(checkout, "rev-parse", "HEAD")


def test_without_note_and_repository_the_commit_is_unknown(checkout):
    shutil.rmtree(checkout.parent / ".git")

    assert source() == Source()


def test_without_git_the_commit_is_unknown(checkout, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")

    assert source() == Source()


@pytest.mark.parametrize(
    ("file", "by"), [("pipx_metadata.json", "pipx"), ("uv-receipt.toml", "uv"), ("pyvenv.cfg", "pip")]
)
def test_the_installer_is_told_by_what_it_leaves(tmp_path, file, by):
    (tmp_path / file).touch()

    assert installer(tmp_path) == by


def test_pip_is_given_the_extra(tmp_path):
    assert how_to_add("charts", prefix=tmp_path) == "pip install 'loadproof[charts]'"


def test_pipx_is_given_the_packages_of_the_extra(tmp_path):
    (tmp_path / "pipx_metadata.json").touch()

    assert how_to_add("charts", prefix=tmp_path) == "pipx inject loadproof 'vl-convert-python<2,>=1.9'"


def test_uv_is_told_the_environment_and_the_packages(tmp_path):
    place = tmp_path / "with space"
    place.mkdir()
    (place / "uv-receipt.toml").touch()

    assert how_to_add("redis", prefix=place) == f"uv pip install --python '{place}' 'redis>=5'"


@pytest.mark.parametrize("file", ["pipx_metadata.json", "uv-receipt.toml", "nothing"])
def test_the_reference_service_gives_the_same_advice(tmp_path, file):
    (tmp_path / file).touch()

    assert app_server.extra.how_to_add(tmp_path) == how_to_add("app", prefix=tmp_path)


def test_an_unknown_extra_is_left_to_pip(tmp_path):
    (tmp_path / "pipx_metadata.json").touch()

    assert how_to_add("no-such-extra", prefix=tmp_path) == "pip install 'loadproof[no-such-extra]'"


def test_pip_is_what_this_environment_was_made_by():
    assert installer() == "pip" or Path(sys.prefix, "uv-receipt.toml").exists()
