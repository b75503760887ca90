import os
import subprocess
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.stack.output import OutputTail


def tail_of(written: bytes, **keywords) -> OutputTail:
    tail = OutputTail(**keywords)
    os.write(tail.write_fd, written)
    return tail


def test_the_last_lines_are_available_at_once():
    with tail_of(b"one\ntwo\nthree\n") as tail:
        assert tail.lines() == ("one", "two", "three")
        assert tail.lines(2) == ("two", "three")


def test_a_last_line_without_a_line_end_counts():
    with tail_of(b"one\ntwo") as tail:
        assert tail.lines() == ("one", "two")


def test_escape_sequences_and_control_characters_do_not_reach_the_terminal():
    with tail_of(b"\x1b[31mred\x1b[0m\ta\x07b\r\n\x1b]0;\n\xff\n") as tail:
        assert tail.lines() == ("red    a b", "0;", "\ufffd")


def test_an_endless_line_is_truncated():
    with tail_of(b"x" * 60_000) as tail:
        (line,) = tail.lines()

        assert len(line) == 500


@pytest.mark.parametrize("before", range(0, 1200, 97))
def test_a_secret_that_the_buffer_cuts_leaves_no_part_of_it(before):
    secret = "".join(f"<{number:03}>" for number in range(200))
    with OutputTail(keep=500, secrets={"TOKEN": secret}) as tail:
        for chunk in (b"a" * 3000, secret[:300].encode(), secret[300:].encode(), b"." * before):
            tail._append(chunk)
        text = "\n".join(tail.lines())

    assert "<0" not in text
    assert "<1" not in text
    assert text.strip("a.") in {"", "[TOKEN]"}


def test_bytes_that_are_no_text_are_masked_too():
    secret = os.fsdecode(b"tok\xff\xfe-en")
    with tail_of(b"x tok\xff\xfe-en \xff\n", secrets={"TOKEN": secret}) as tail:
        assert tail.lines() == ("x [TOKEN] \ufffd",)


def test_only_the_end_is_kept():
    with OutputTail(keep=1000) as tail:
        for number in range(20_000):
            os.write(tail.write_fd, b"%d\n" % number)

        lines = tail.lines(10_000)

        assert lines[-1] == "19999"
        assert 100 < len(lines) < 1000
        assert tail._kept < 1000 + 256 * 1024


@given(chunks=st.lists(st.binary(min_size=1, max_size=50), max_size=30), keep=st.integers(1, 100))
def test_what_is_kept_is_the_end_of_what_was_appended(chunks, keep):
    with OutputTail(keep=keep) as tail:
        for chunk in chunks:
            tail._append(chunk)

        kept = b"".join(tail._chunks)

    everything = b"".join(chunks)
    assert everything.endswith(kept)
    assert len(kept) >= min(keep, len(everything))
    assert len(kept) == tail._kept


def test_closing_does_not_wait_for_processes_that_still_write():
    threads = threading.active_count()
    with OutputTail() as tail, subprocess.Popen(["sleep", "60"], stdout=tail.write_fd) as process:
        tail.close_write_end()
        tail.close()
        process.kill()
    assert threading.active_count() == threads


def test_the_reader_ends_when_no_process_can_write_any_more():
    with OutputTail() as tail:
        with subprocess.Popen(["echo", "done"], stdout=tail.write_fd):
            tail.close_write_end()
        tail._thread.join(5)

        assert not tail._thread.is_alive()
        assert tail.lines() == ("done",)


@pytest.mark.parametrize("times", [1, 2])
def test_it_may_be_closed_more_than_once(times):
    tail = OutputTail()
    for _ in range(times):
        tail.close()
