"""Numbers in the kernel's small files."""

from __future__ import annotations

import pytest

from runner.observe.proc_files import number_of

_OOM = b"oom_kill_disable 0\nunder_oom 1\noom_kill 3\n"


@pytest.mark.parametrize(
    ("key", "number"),
    [(b"oom_kill", 3), (b"oom_kill_disable", 0), (b"under_oom", 1), (b"oom", None), (b"kill", None)],
)
def test_a_number_is_found_by_its_whole_key(key: bytes, number: int | None) -> None:
    assert number_of(key, _OOM) == number


def test_a_line_without_its_number_is_an_error() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        number_of(b"oom_kill", b"oom_kill ")
