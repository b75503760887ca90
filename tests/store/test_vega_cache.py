import os

import pytest

from runner.store.vega_cache import vega_bundle


@pytest.mark.parametrize("cache", ["no home", "unwritable", "a device", "endless", "damaged"])
def test_the_script_is_made_without_a_cache(tmp_path, monkeypatch, cache):
    monkeypatch.setattr("vl_convert.javascript_bundle", lambda vl_version: "made")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert vega_bundle() == "made"
    (file,) = (tmp_path / "loadproof").iterdir()
    assert file.read_text() == "made"
    file.unlink()
    if cache == "no home":
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setattr("pathlib.Path.home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
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
