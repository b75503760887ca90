"""A compiled module that is older than its source is not used."""

import os
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from runner.load import extensions, loop
from runner.load.exchange import Exchange


def module(folder, built_at, source_at=None):
    path = folder / "fast.cpython-311-x86_64-linux-gnu.so"
    path.write_bytes(b"")
    os.utime(path, (built_at, built_at))
    if source_at is not None:
        source = folder / "fast.pyx"
        source.write_text("")
        os.utime(source, (source_at, source_at))
    found = ModuleType("fast")
    found.__file__ = str(path)
    return found


@pytest.mark.parametrize(
    ("built_at", "source_at", "current"),
    [
        (2000, 1000, True),
        (2000, 2000, True),
        (2000, 2030, True),  # an installer wrote both
        (2000, 2100, False),  # the source was changed, and not built
        (2000, None, True),  # a wheel without sources
    ],
)
def test_a_module_is_current_unless_its_source_is_newer(tmp_path, built_at, source_at, current):
    assert extensions.is_current(module(tmp_path, built_at, source_at)) is current


def test_an_exchange_that_is_out_of_date_is_not_used(tmp_path, monkeypatch):
    fastpath = pytest.importorskip("runner.load.fastpath")
    copy = tmp_path / Path(fastpath.__file__).name
    shutil.copy2(fastpath.__file__, copy)
    (tmp_path / "fastpath.pyx").write_text("")
    os.utime(copy, (1000, 1000))
    assert loop.plain_exchange() is fastpath.FastExchange

    monkeypatch.setattr(fastpath, "__file__", str(copy))

    assert loop.plain_exchange() is Exchange
