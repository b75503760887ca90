"""Compiled templates are cached, and are used only if no other user can have changed them."""

import os
from pathlib import Path

import pytest
from jinja2 import DictLoader, Environment

from runner.template_cache import TemplateCache

_TEXT = "one {{ 'two' }}"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "loadproof" / "templates"


def _rendered(finalize=str, made_with=(__file__,)) -> str:
    environment = Environment(
        loader=DictLoader({"name": _TEXT}),
        finalize=finalize,
        bytecode_cache=TemplateCache(made_with),
        autoescape=False,
    )
    return environment.get_template("name").render()


def test_a_stored_template_is_not_compiled_again(folder):
    assert _rendered(str.upper) == "one TWO"
    assert _rendered(str.lower) == "one TWO"  # the constant is part of the compiled template
    assert len(list(folder.iterdir())) == 1


def test_a_change_of_what_compiling_calls_compiles_again(folder, tmp_path):
    code = tmp_path / "code.py"
    code.write_text("1")
    assert _rendered(str.upper, [str(code)]) == "one TWO"
    code.write_text("two")
    assert _rendered(str.lower, [str(code)]) == "one two"


@pytest.mark.parametrize("mode", [0o620, 0o602])
@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_template_that_others_can_change_is_not_used(folder, what, mode):
    _rendered(str.upper)
    (file,) = folder.iterdir()
    (file if what == "file" else folder).chmod(mode | 0o100)
    assert _rendered(str.lower) == "one two"


def test_a_link_is_not_followed(folder, tmp_path):
    _rendered(str.upper)
    (file,) = folder.iterdir()
    file.symlink_to(file.rename(tmp_path / "elsewhere"))
    assert _rendered(str.lower) == "one two"


@pytest.mark.parametrize("damage", [b"", b"j2", b"\x80" * 200])
def test_a_damaged_template_is_compiled_again(folder, damage):
    _rendered(str.upper)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] + damage)
    assert _rendered(str.lower) == "one two"


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert _rendered() == "one two"
    assert os.listdir(tmp_path) == ["file"]
