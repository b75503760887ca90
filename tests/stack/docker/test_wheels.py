"""Wheels for a build without network, downloaded from a folder, by the real pip where that matters."""

import os
import zipfile

import pytest

from runner.core.errors import EnvironmentLacks
from runner.stack.docker import wheels
from tests.stack.docker.conftest import RecordingGuard

WHEEL = "tiny-1.0-py3-none-any.whl"


@pytest.fixture
def folder(tmp_path):
    """A build folder, whose name is not UTF-8, with requirements that refer to a file beside them."""
    build = tmp_path / os.fsdecode(b"caf\xe9-\xff")
    build.mkdir()
    index = tmp_path / "index"
    index.mkdir()
    (build / "requirements.txt").write_text(f"--no-index\n--find-links={index}\n-r more.txt\n")
    (build / "more.txt").write_text("tiny==1.0\n")
    with zipfile.ZipFile(index / WHEEL, "w") as wheel:
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr(
            "tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("tiny-1.0.dist-info/RECORD", "")
    return build


@pytest.fixture
def fetch(folder, tmp_path):
    """A function that fetches the wheels, and returns their folder and whether they were downloaded."""
    guard = RecordingGuard()

    async def fetch_now(run: str):
        scratch = tmp_path / run
        scratch.mkdir()
        lines: list[str] = []
        fetched = await wheels.fetch_wheels(folder, scratch, machine="x86_64", guard=guard, say=lines.append)
        assert guard.processes == set()
        return fetched, bool(lines)

    return fetch_now


async def test_wheels_are_downloaded_once(fetch, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    first, downloaded = await fetch("first")
    second, downloaded_again = await fetch("second")

    assert (downloaded, downloaded_again) == (True, False)
    assert os.listdir(first) == os.listdir(second) == [WHEEL]
    assert second.is_relative_to(tmp_path / "cache")
    assert [path.name for path in second.parent.iterdir()] == [second.name]


@pytest.fixture
def copying(tmp_path, monkeypatch):
    """Instead of pip, which takes a second, what copies the wheel to where pip would store it."""
    copy = f'for word; do case $word in --dest=*) cp -r {tmp_path}/index "${{word#--dest=}}" ;; esac; done'
    monkeypatch.setattr(wheels, "_pip", lambda: ["sh", "-c", copy, "pip"])


@pytest.mark.usefixtures("copying")
@pytest.mark.parametrize("cache", ["/proc/none", "/dev/null", "full", "relative", "no home"])
async def test_without_a_cache_they_are_downloaded_each_time(fetch, cache, tiny_disk, tmp_path, monkeypatch):
    (tiny_disk / "filler").write_bytes(bytes(8192))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tiny_disk) if cache == "full" else cache)
    if cache in {"relative", "no home"}:
        monkeypatch.setattr("pathlib.Path.home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    if cache == "no home":
        monkeypatch.delenv("XDG_CACHE_HOME")

    for run in ("first", "second"):
        fetched, downloaded = await fetch(run)
        assert downloaded
        assert os.listdir(fetched) == [WHEEL]
        assert fetched.is_relative_to(tmp_path / run)
    assert [path.name for path in tiny_disk.rglob("*") if path.is_file()] == ["filler"]


async def test_a_failed_download_is_an_error_and_leaves_no_cache(fetch, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "index" / WHEEL).unlink()

    with pytest.raises(EnvironmentLacks, match="cannot be downloaded"):
        await fetch("first")

    assert not (tmp_path / "cache").exists()
