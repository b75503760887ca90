"""Wheels for a build without network, downloaded by the real pip from a folder."""

import os
import zipfile

import pytest

from runner.core.errors import EnvironmentLacks
from runner.stack.docker.wheels import fetch_wheels
from tests.stack.docker.conftest import RecordingGuard

WHEEL = "tiny-1.0-py3-none-any.whl"


@pytest.fixture(params=[b"plain", b"caf\xe9-\xff"], ids=["plain", "not UTF-8"])
def folder(request, tmp_path):
    """A build folder whose requirements refer to a file beside them, and a folder with the wheel."""
    build = tmp_path / os.fsdecode(request.param)
    build.mkdir()
    wheels = tmp_path / "index"
    wheels.mkdir()
    (build / "requirements.txt").write_text(f"--no-index\n--find-links={wheels}\n-r more.txt\n")
    (build / "more.txt").write_text("tiny==1.0\n")
    with zipfile.ZipFile(wheels / WHEEL, "w") as wheel:
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
        wheels = await fetch_wheels(folder, scratch, machine="x86_64", guard=guard, say=lines.append)
        assert guard.processes == set()
        return wheels, bool(lines)

    return fetch_now


async def test_wheels_are_downloaded_once(fetch, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    first, downloaded = await fetch("first")
    second, downloaded_again = await fetch("second")

    assert (downloaded, downloaded_again) == (True, False)
    assert os.listdir(first) == os.listdir(second) == [WHEEL]
    assert second.is_relative_to(tmp_path / "cache")
    assert [path.name for path in second.parent.iterdir()] == [second.name]


@pytest.mark.parametrize("cache", ["/proc/none", "/dev/null", "full", "relative", "no home"])
async def test_without_a_cache_they_are_downloaded_each_time(fetch, cache, tiny_disk, monkeypatch):
    (tiny_disk / "filler").write_bytes(bytes(8192))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tiny_disk) if cache == "full" else cache)
    if cache in {"relative", "no home"}:
        monkeypatch.setattr("pathlib.Path.home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    if cache == "no home":
        monkeypatch.delenv("XDG_CACHE_HOME")

    for run in ("first", "second"):
        wheels, downloaded = await fetch(run)
        assert downloaded
        assert os.listdir(wheels) == [WHEEL]
    assert [path.name for path in tiny_disk.rglob("*") if path.is_file()] == ["filler"]


async def test_a_failed_download_is_an_error_and_leaves_no_cache(fetch, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "index" / WHEEL).unlink()

    with pytest.raises(EnvironmentLacks, match="cannot be downloaded"):
        await fetch("first")

    assert not (tmp_path / "cache").exists()
