"""A build's fingerprint depends on everything that goes into the image, and on nothing else."""

import os
import tarfile
from dataclasses import replace

import pytest

from runner.core.errors import EnvironmentLacks
from runner.stack.docker import open_docker
from runner.stack.docker.context import content_digest, find_folder, read_dockerfile, write_context
from tests.stack.docker.conftest import topology

DIGEST = "77fa96163b0281c553a02e45540215f1eba03363efc8904c3dd0be42af6565f8"
"""Of `folder`; archives contain such digests, so they do not change."""


@pytest.fixture
def folder(tmp_path):
    app = tmp_path / "app"
    (app / "sub").mkdir(parents=True)
    (app / "Dockerfile").write_text("ARG BASE=python:3.12-slim\nFROM ${BASE}\nCOPY . /app\n")
    (app / "main.py").write_text("print('hello')\n")
    (app / "sub" / "part.py").write_text("")
    return app


def written(folder, *, wheels=None, **salt):
    tarball = folder.parent / "context.tar"
    fingerprint = write_context(folder, tarball, wheels=wheels, salt=salt)
    with tarfile.open(tarball) as archive:
        return fingerprint, archive.getnames()


def fingerprint(folder, **salt):
    return written(folder, **salt)[0]


def test_the_same_content_has_the_same_fingerprint(folder):
    before = fingerprint(folder)
    os.utime(folder / "main.py", (1, 1))

    assert fingerprint(folder) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda app: (app / "main.py").write_text("print('other')\n"),
        lambda app: (app / "main.py").rename(app / "other.py"),
        lambda app: (app / "main.py").chmod(0o755),
        lambda app: (app / "sub" / "more.py").write_text(""),
        lambda app: (app / "link").symlink_to("main.py"),
        lambda app: (app / "Dockerfile").write_text("FROM scratch\n"),
    ],
    ids=["content", "name", "mode", "a file more", "a link", "Dockerfile"],
)
def test_any_change_of_the_content_changes_the_fingerprint(folder, change):
    before = fingerprint(folder)
    change(folder)

    assert fingerprint(folder) != before


def test_another_base_changes_the_fingerprint(folder):
    assert fingerprint(folder, BASE="sha256:1") != fingerprint(folder, BASE="sha256:2")


def test_dockerignore_excludes_files(folder):
    (folder / ".dockerignore").write_text("# local things\n\nsub\n*.tmp\n")
    (folder / "big.tmp").write_text("x")

    names = written(folder)[1]

    assert "main.py" in names
    assert not {"big.tmp", "sub", "sub/part.py"} & set(names)


def test_dockerignore_does_not_exclude_the_dockerfile(folder):
    (folder / ".dockerignore").write_text("Dockerfile\n")

    assert "Dockerfile" in written(folder)[1]


def test_wheels_are_added_to_the_context_and_not_to_the_folder(folder, tmp_path):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "a-1-py3-none-any.whl").write_bytes(b"wheel")

    assert ".wheels/a-1-py3-none-any.whl" in written(folder, wheels=wheels)[1]
    assert not (folder / ".wheels").exists()


@pytest.mark.parametrize(
    ("text", "base", "parents"),
    [
        ("ARG BASE=python:3.12-slim\nFROM ${BASE}\n", "python:3.12-slim", ("${BASE}",)),
        ('arg BASE="a/b:1"\nfrom $BASE AS one\n', "a/b:1", ("$BASE",)),
        ("FROM --platform=linux/amd64 golang:1 AS build\nFROM scratch\n", None, ("golang:1", "scratch")),
        ("ARG BASE\nFROM ${BASE}\n", None, ("${BASE}",)),
    ],
)
def test_a_dockerfiles_base_and_parents_are_found(folder, text, base, parents):
    (folder / "Dockerfile").write_text(text)

    dockerfile = read_dockerfile(folder)

    assert (dockerfile.base, dockerfile.parents) == (base, parents)


def test_a_build_folder_is_relative_to_the_specification_first(folder, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "app").mkdir(parents=True)
    (elsewhere / "app" / "Dockerfile").write_text("FROM scratch\n")
    monkeypatch.chdir(elsewhere)

    assert find_folder("app", tmp_path) == folder
    assert find_folder("app", tmp_path / "sub") == elsewhere / "app"
    with pytest.raises(EnvironmentLacks, match="no Dockerfile"):
        find_folder("nothing", tmp_path)


def test_the_content_digest_does_not_depend_on_base_or_checkout(folder):
    (folder / ".dockerignore").write_text("*.log\n")
    before = content_digest(folder)
    os.utime(folder / "main.py", (1, 1))
    (folder / "main.py").chmod(0o664)
    (folder / "sub").chmod(0o775)
    (folder / "noise.log").write_text("noise")

    assert content_digest(folder) == before
    assert len(before) == 64


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "main.py").write_text("print('bye')\n"),
        lambda folder: (folder / "main.py").rename(folder / "other.py"),
        lambda folder: (folder / "main.py").chmod(0o755),
        lambda folder: (folder / "link").symlink_to("main.py"),
    ],
    ids=["content", "name", "executable", "link"],
)
def test_any_change_in_the_folder_changes_the_digest(folder, change):
    before = content_digest(folder)
    change(folder)

    assert content_digest(folder) != before


STRANGE = b"caf\xe9-\xff"


@pytest.fixture
def strange(folder):
    """A build folder whose own name, and whose files' names, are not UTF-8."""
    moved = folder.rename(folder.parent / os.fsdecode(STRANGE))
    (moved / os.fsdecode(STRANGE)).write_text("hello")
    (moved / "link").symlink_to(os.fsdecode(STRANGE))
    (moved / os.fsdecode(b"ignored-\xfe")).write_text("")
    (moved / ".dockerignore").write_bytes(b"\xef\xbb\xbfignored-\xfe\n")
    return moved


def test_names_that_are_not_utf_8_are_in_the_context_and_in_its_digests(strange):
    before, names = written(strange)
    digest = content_digest(strange)

    assert os.fsdecode(STRANGE) in names
    assert os.fsdecode(b"ignored-\xfe") not in names
    (strange / os.fsdecode(STRANGE)).rename(strange / os.fsdecode(STRANGE + b"\xff"))
    assert fingerprint(strange) != before
    assert content_digest(strange) != digest


def test_digests_of_ordinary_folders_are_as_they_were(folder):
    (folder / "main.py").chmod(0o644)

    assert content_digest(folder) == DIGEST


@pytest.mark.docker
async def test_an_image_is_built_from_names_that_are_not_utf_8(api, strange, context):
    lines = [
        "ARG BASE=python:3.12-slim",
        "FROM ${BASE}",
        "COPY . /app",
        "RUN ls -b /app && cat /app/link && false",
    ]
    (strange / "Dockerfile").write_text("\n".join(lines))

    with pytest.raises(EnvironmentLacks) as refused:
        async with open_docker(topology(app={"build": "."}), replace(context, base_dir=strange)):
            pytest.fail("it was built")

    assert "returned a non-zero code: 1" in refused.value.message
    assert r"caf\351-\377" in refused.value.details
    assert "hello" in str(refused.value.details)
    for line in (*refused.value.details, refused.value.message, refused.value.hint):
        line.encode()


def test_messages_about_folders_that_are_not_utf_8_can_be_printed(strange):
    (strange / "Dockerfile").unlink()

    with pytest.raises(EnvironmentLacks) as refused:
        find_folder(str(strange), strange)

    assert "".join(refused.value.details).encode()
    assert refused.value.message.encode()
