"""Answers are read exactly, however they are cut into pieces."""

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.load.response_parser import Answer, Heads, ProtocolFault

OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = {
    "a length": (OK + b"Content-Length: 5\r\n\r\nhello", 200, True),
    "a length of zero": (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, True),
    "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", 200, True),
    "chunks with a trailer": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
        200,
        True,
    ),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, True),
    "not modified, with the length it would have": (
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        304,
        True,
    ),
    "an interim answer before": (
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello",
        200,
        True,
    ),
    "early hints with a length of their own": (
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello",
        200,
        True,
    ),
    "a connection to be closed": (OK + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello", 200, False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, False),
    "HTTP/1.0 that stays": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
        200,
        True,
    ),
    "header names in capitals": (b"HTTP/1.1 200 OK\r\nCONTENT-LENGTH: 5\r\n\r\nhello", 200, True),
}


def read(data: bytes, *cuts: int, needle: bytes = b"", head_only: bool = False) -> Answer:
    """Feed `data` cut at these places."""
    answer = Answer(head_only=head_only, needle=needle)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for begin, end in itertools.pairwise(edges):
        if begin < end:
            assert not answer.complete
            answer.feed(memoryview(data)[begin:end])
    return answer


@pytest.mark.parametrize(("data", "status", "keep"), WHOLE.values(), ids=WHOLE)
@given(cuts=st.lists(st.integers(0, 200), max_size=5))
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(data, status, keep, cuts):
    answer = read(data, *cuts)

    assert (answer.complete, answer.status, answer.keep_alive) == (True, status, keep)


@pytest.mark.parametrize(("data", "status", "keep"), WHOLE.values(), ids=WHOLE)
def test_no_beginning_of_an_answer_is_taken_for_the_whole(data, status, keep):
    for end in range(1, len(data)):
        answer = read(data[:end])

        assert not answer.complete
        assert not answer.close()


@given(
    body=st.binary(max_size=60), needle=st.binary(min_size=1, max_size=4), cuts=st.lists(st.integers(0, 99))
)
def test_text_in_the_body_is_found_across_pieces_and_only_when_it_is_there(body, needle, cuts):
    data = OK + b"Content-Length: %d\r\n\r\n" % len(body) + body

    assert read(data, *cuts, needle=needle).found == (needle in body)


def test_text_is_found_across_chunks():
    data = OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"

    assert read(data, needle=b"hello").found


def test_text_in_the_head_is_not_in_the_body():
    assert not read(OK + b"X: hello\r\nContent-Length: 2\r\n\r\nhi", needle=b"hello").found


@given(cut=st.integers(0, 60))
def test_a_body_without_a_length_ends_with_the_connection(cut):
    answer = read(OK + b"\r\nhello", cut, needle=b"hello")

    assert not answer.complete
    assert answer.close()
    assert answer.found
    assert not answer.keep_alive


@pytest.mark.parametrize("connection", [b"", b"Connection: close\r\n"])
@pytest.mark.parametrize(
    "rest", [b"Content-Length: 9\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"]
)
def test_a_body_cut_short_by_the_connection_is_not_whole(connection, rest):
    assert not read(OK + connection + rest).close()


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02\x03",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"<html>no head</html>",
        b"HTTP/1.1 abc OK\r\n\r\n",
        OK + b"Content-Length: five\r\n\r\nhello",
        OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nno chunk\r\n",
        OK + b"no colon\r\n\r\n",
    ],
)
def test_what_is_no_http_is_a_protocol_fault(data):
    with pytest.raises(ProtocolFault):
        read(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_without_another_error(data):
    with contextlib.suppress(ProtocolFault):
        read(data)


def test_garbage_after_an_answer_costs_the_connection_only():
    answer = read(OK + b"Content-Length: 5\r\n\r\nhello\x00garbage")

    assert (answer.complete, answer.status, answer.keep_alive) == (True, 200, False)


def test_a_second_answer_nobody_asked_for_costs_the_connection_and_changes_nothing_else():
    first = OK + b"Content-Length: 5\r\n\r\nhello"
    answer = read(first + b"HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\nwrong", needle=b"wrong")

    assert (answer.status, answer.found, answer.keep_alive) == (200, False, False)


@pytest.mark.parametrize("head", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_an_answer_to_head_ends_with_its_head(head):
    answer = read(OK + head + b"\r\n", head_only=True)

    assert answer.complete
    assert answer.status == 200


ENDLESS = {
    "head": (OK, b"X-Flood: " + b"x" * 1000 + b"\r\n"),
    "header": (OK + b"X-Flood: ", b"x" * 1000),
    "line of interim answers": (b"", b"HTTP/1.1 100 Continue\r\nX-Flood: 1\r\n\r\n" * 20),
    "trailer": (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Flood: " + b"x" * 1000 + b"\r\n"),
}


@pytest.mark.parametrize(("begin", "piece"), ENDLESS.values(), ids=ENDLESS)
def test_what_has_no_end_and_would_be_kept_is_a_protocol_fault(begin, piece):
    answer = Answer(head_only=False, needle=b"")
    if begin:
        answer.feed(memoryview(begin))

    def go_on() -> None:
        for _ in range(100):
            answer.feed(memoryview(piece))

    with pytest.raises(ProtocolFault):
        go_on()


def test_a_body_of_any_length_is_read_in_bounded_memory():
    answer = Answer(head_only=False, needle=b"not there")
    answer.feed(memoryview(OK + b"Content-Length: 99999999999\r\n\r\n"))

    for _ in range(200):
        answer.feed(memoryview(bytes(100_000)))

    assert not answer.complete
    assert len(answer._tail) < len(b"not there")


def heads_after(data: bytes, *, head_only: bool = False) -> Heads:
    """What is remembered after an answer that came in one piece."""
    heads = Heads(head_only=head_only)
    heads.remember(read(data, head_only=head_only), bytearray(data), len(data))
    return heads


def recognised(heads: Heads, data: bytes) -> tuple[int, bool] | None:
    """Status and keep-alive as the short cut tells them; None when it does not know."""
    buffer = bytearray(data) + b"left from an earlier, longer read\r\n\r\n"
    return (heads.status, heads.keep) if heads.find(buffer, len(data)) else None


@pytest.mark.parametrize(("data", "status", "keep"), WHOLE.values(), ids=WHOLE)
def test_the_short_cut_says_what_the_parser_says_or_nothing(data, status, keep):
    assert recognised(heads_after(data), data) in {(status, keep), None}


def test_a_head_seen_before_is_recognised_with_another_body():
    heads = heads_after(OK + b"Content-Length: 5\r\n\r\nhello")

    assert recognised(heads, OK + b"Content-Length: 5\r\n\r\nworld") == (200, True)


@given(st.integers(0, 60))
def test_less_or_more_than_a_whole_answer_is_never_recognised(length):
    data = OK + b"Content-Length: 5\r\n\r\nhello"
    heads = heads_after(data)
    other = (data + b"and much more than was announced")[:length]

    assert (recognised(heads, other) is not None) == (other == data)


def test_an_answer_to_head_is_recognised_without_a_body():
    data = OK + b"Content-Length: 5\r\n\r\n"

    assert recognised(heads_after(data, head_only=True), data) == (200, True)


def test_heads_that_are_never_the_same_do_not_fill_memory():
    heads = Heads(head_only=False)
    for number in range(10_000):
        data = OK + b"X-Id: %d\r\nContent-Length: 0\r\n\r\n" % number
        heads.remember(read(data), bytearray(data), len(data))

    assert len(heads._known) <= 256
