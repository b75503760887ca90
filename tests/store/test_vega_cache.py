import os

import pytest

from runner.store.vega_cache import vega_bundle
from tests.cli.conftest import ROOT

_LIBRARY = """
import os
def javascript_bundle(vl_version):
    if os.environ["LIBRARY"] == "aborts":
        os.abort()
    if os.environ["LIBRARY"] == "raises":
        raise ValueError
    return "made"
"""


@pytest.fixture(autouse=True)
def library(tmp_path, monkeypatch):
    """A small library in place of the one that makes the script."""
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "vl_convert.py").write_text(_LIBRARY)
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{ROOT}")
    monkeypatch.setenv("LIBRARY", "works")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("cache", ["no home", "relative", "unwritable", "a device", "endless", "damaged"])
def test_the_script_is_made_without_a_cache(tmp_path, monkeypatch, cache):
    assert vega_bundle() == "made"
    (file,) = (tmp_path / "cache" / "loadproof").iterdir()
    assert file.read_text() == "made"
    file.unlink()
    if cache == "no home":
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setattr("pathlib.Path.home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    elif cache == "relative":
        monkeypatch.setenv("XDG_CACHE_HOME", "relative")
        monkeypatch.setenv("HOME", "/proc/none")
    elif cache == "unwritable":
        monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    elif cache == "a device":
        file.symlink_to("/dev/zero")
    elif cache == "endless":
        os.mkfifo(file)
        monkeypatch.setattr("runner.store.bounded_read.PIPE_TIMEOUT_S", 0.1)
    else:
        file.write_bytes(b"\xff\xfe")

    assert vega_bundle() == "made"


@pytest.mark.parametrize("failure", ["aborts", "raises"])
def test_a_library_that_fails_costs_the_script_and_is_tried_again(tmp_path, monkeypatch, failure):
    monkeypatch.setenv("LIBRARY", failure)

    assert vega_bundle() == ""
    assert not (tmp_path / "cache").exists()

    monkeypatch.setenv("LIBRARY", "works")
    assert vega_bundle() == "made"
