"""Responses are parsed exactly, in whatever pieces they arrive."""

import contextlib
import itertools

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.load.checks import header_fields
from runner.load.response_parser import Heads, Response
from runner.load.tolerant_parser import MAX_KEPT, ProtocolFault, TolerantParser

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
    "an interim response before": (
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
    "a folded header line": (OK + b"X-Long: one\r\n\t two\r\nContent-Length:\r\n 5\r\n\r\nhello", 200, True),
    "a folded line that looks like a header": (
        OK + b"X: a\r\n Connection: close\r\nContent-Length: 5\r\n\r\nhello",
        200,
        True,
    ),
    "a space before the first header": (OK + b" X: a\r\nContent-Length: 5\r\n\r\nhello", 200, True),
    "a space before a colon": (OK + b"Content-Length : 5\r\n\r\nhello", 200, True),
    "a header name of two words": (OK + b"two words: 1\r\nContent-Length: 5\r\n\r\nhello", 200, True),
    "a trailer that is folded": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n 2\r\n\r\n",
        200,
        True,
    ),
    "trailers that end with LF alone": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\n\n",
        200,
        True,
    ),
    "a transfer coding beside a length": (
        OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        200,
        True,
    ),
    "a coding before chunks": (
        OK + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        200,
        True,
    ),
    "the coding identity": (OK + b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello", 200, True),
    "a length twice": (OK + b"Content-Length: 5\r\ncontent-length: 05\r\n\r\nhello", 200, True),
    "a list of equal lengths": (OK + b"Content-Length: 5, 5\r\n\r\nhello", 200, True),
    "lines that end with LF alone": (b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", 200, True),
    "lines that end with LF alone, and a body like a head's end": (
        b"HTTP/1.1 200 OK\nContent-Length: 5\n\n\r\n\r\nx",
        200,
        True,
    ),
    "lines that end in different ways": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\n\r\nhello", 200, True),
    "chunks that end with LF alone": (
        b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\nhello\n0\nX: 1\n\n",
        200,
        True,
    ),
    "spaces behind the size of a chunk": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n5 \t\r\nhello\r\n0  \r\n\r\n",
        200,
        True,
    ),
    "a chunk's size with zeros": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n0000000000000000000A\r\n0123456789\r\n000\r\n\r\n",
        200,
        True,
    ),
    "empty lines before": (b"\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello", 200, True),
    "no reason": (b"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", 404, True),
    "a reason in another encoding": (
        b"HTTP/1.1 404 \xe4\xff\r\nX-\xe4: \xff\r\nContent-Length: 0\r\n\r\n",
        404,
        True,
    ),
    "a list of connection options": (
        OK + b"Connection: Upgrade, CLOSE\r\nContent-Length: 0\r\n\r\n",
        200,
        False,
    ),
    "another protocol": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", 101, False),
    "header names in capitals": (b"HTTP/1.1 200 OK\r\nCONTENT-LENGTH: 5\r\n\r\nhello", 200, True),
}


def read(data: bytes, *cuts: int, keep: bool = False, head_only: bool = False) -> Response:
    """Parse `data` in pieces, split at these offsets."""
    response = Response(head_only=head_only, keep=keep)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for begin, end in itertools.pairwise(edges):
        if begin < end:
            assert not response.complete
            response.feed(memoryview(data)[begin:end])
    return response


@pytest.mark.parametrize(("data", "status", "keep"), WHOLE.values(), ids=WHOLE)
@settings(max_examples=10)
@given(cuts=st.lists(st.integers(0, 200), max_size=5))
def test_a_response_is_the_same_in_whatever_pieces_it_arrives(data, status, keep, cuts):
    response = read(data, *cuts)

    assert (response.complete, response.status, response.keep_alive) == (True, status, keep)


@pytest.mark.parametrize(("data", "status", "keep"), WHOLE.values(), ids=WHOLE)
def test_the_beginning_of_a_response_is_not_complete(data, status, keep):
    for end in range(1, len(data)):
        response = read(data[:end])

        assert not response.complete
        assert not response.close()


@given(body=st.binary(max_size=60), cuts=st.lists(st.integers(0, 99)))
def test_head_and_body_are_kept_whole_in_whatever_pieces_they_arrive(body, cuts):
    head = OK + b"X-One: 1\r\nContent-Length: %d\r\n\r\n" % len(body)
    response = read(head + body, *cuts, keep=True)

    assert response.body == body
    assert header_fields(response.head) == {"x-one": "1", "content-length": str(len(body))}


@given(cuts=st.lists(st.integers(0, 99), max_size=4))
def test_a_body_is_kept_without_its_chunks_and_a_head_without_interim_ones_and_trailers(cuts):
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
    chunked = b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nX-Trailer: 1\r\n\r\n"
    response = read(interim + OK + chunked, *cuts, keep=True)

    assert response.body == b"hello"
    assert header_fields(response.head) == {"transfer-encoding": "chunked"}


def test_nothing_is_kept_unless_it_is_asked_for():
    response = read(OK + b"Content-Length: 2\r\n\r\nhi")

    assert (response.head, response.body) == (b"", b"")


def test_of_a_very_large_body_one_byte_more_than_the_limit_is_kept():
    response = Response(head_only=False, keep=True)
    response.feed(memoryview(OK + b"Content-Length: 99999999999\r\n\r\n"))
    for _ in range(MAX_KEPT // 1_000_000 + 2):
        response.feed(memoryview(bytes(1_000_000)))

    assert len(response.body) == MAX_KEPT + 1


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"Connection: keep-alive\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Transfer-Encoding: chunked, gzip\r\n",
        b"Transfer-Encoding: gzip\r\nContent-Length: 3\r\n",
        b"Transfer-Encoding: identity\r\n",
    ],
)
@given(cut=st.integers(0, 90))
def test_a_body_without_a_length_ends_with_the_connection(head, cut):
    response = read(OK + head + b"\r\nhello", cut, keep=True)

    assert not response.complete
    assert response.close()
    assert response.body == b"hello"
    assert not response.keep_alive


@pytest.mark.parametrize("connection", [b"", b"Connection: close\r\n"])
@pytest.mark.parametrize(
    "rest", [b"Content-Length: 9\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"]
)
def test_a_body_cut_short_by_the_connection_is_not_complete(connection, rest):
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
        OK + b"Transfer-Encoding: chunked\r\n\r\nno chunk\r\n",
        OK + b"no colon\r\n\r\n",
        OK + b"Content-Length:\r\n\r\n",
        OK + b"Content-Length: 5, 6\r\n\r\nhello!",
        OK + b"Content-Length: +5\r\n\r\nhello",
        OK + b"Content-Length: %d\r\n\r\nhello" % 10**30,
        OK + b"X: a\0b\r\n\r\n",
        OK + b"X: a\rb\r\n\r\n",
        OK + b": no name\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello, there\r\n",
        b"HTTP/1.1 099 Low\r\n\r\n",
        b"ICY 200 OK\r\n",
    ],
)
def test_data_that_is_no_http_is_a_protocol_fault(data):
    with pytest.raises(ProtocolFault):
        read(data)


@pytest.mark.parametrize(
    "body",
    [
        b"5\nhello\n0\n\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello\r\n0\r\n\n",
        b"5\r\nhello\r\n0\r\nno colon\r\n\r\n",
        b"5\r\nhello\r\n0\r\nX: 1\r\n\rY: 2\r\n\r\n",
        b"5\r\nhello\r\n0\r\nX: 1\n\r\n",
        b"hello",
    ],
)
def test_whether_a_body_is_refused_does_not_depend_on_its_pieces(body):
    data = OK + b"Transfer-Encoding: chunked\r\n\r\n" + body
    whole = is_refused(data)

    assert {is_refused(data, cut) for cut in range(len(data))} == {whole}
    assert is_refused(data, *range(len(data))) == whole


@pytest.mark.parametrize(
    "framing",
    [
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip\r\nTransfer-Encoding: Chunked\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 3\r\nContent-Length: 3\r\n",
    ],
)
def test_an_interim_response_has_no_body_whatever_its_head_says(framing):
    interim = b"HTTP/1.1 103 Early Hints\r\n" + framing + b"\r\n"
    data = interim + OK + b"Content-Length: 5\r\n\r\nhello"

    for first, gap in itertools.product(range(len(data)), (1, 2, 5, 30)):
        response = read(data, first, first + gap)
        assert (response.complete, response.status, response.length) == (True, 200, 5)
    assert {is_refused(interim + b"1\r\nx\r\n0\r\n\r\n", cut, cut + 30) for cut in range(60)} == {True}


def is_refused(data: bytes, *cuts: int) -> bool:
    try:
        read(data, *cuts)
    except ProtocolFault:
        return True
    return False


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no status line of HTTP/1"),
        (OK + b"A: 1\r\nsecret\r\n\r\n", "a header line without a colon"),
        (OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", "different values of Content-Length"),
    ],
)
def test_a_fault_tells_its_reason_in_words_of_ours(data, reason):
    with pytest.raises(ProtocolFault, match=f"^{reason}$"):
        read(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_parsed_or_refused_without_another_error(data):
    with contextlib.suppress(ProtocolFault):
        read(data)


def test_garbage_after_a_response_only_ends_the_connection():
    response = read(OK + b"Content-Length: 5\r\n\r\nhello\x00garbage")

    assert (response.complete, response.status, response.keep_alive) == (True, 200, False)
    assert response.unasked


def test_an_unsolicited_second_response_only_ends_the_connection():
    first = OK + b"Content-Length: 5\r\n\r\nhello"
    response = read(first + b"HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\nwrong", keep=True)

    assert (response.status, response.body, response.keep_alive) == (200, b"hello", False)
    assert response.unasked


@pytest.mark.parametrize("head", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_response_to_head_ends_with_its_head(head):
    response = read(OK + head + b"\r\n", head_only=True)

    assert response.complete
    assert response.status == 200


ENDLESS = {
    "head": (OK, b"X-Flood: " + b"x" * 1000 + b"\r\n"),
    "header": (OK + b"X-Flood: ", b"x" * 1000),
    "series of interim responses": (b"", b"HTTP/1.1 100 Continue\r\nX-Flood: 1\r\n\r\n" * 30),
    "trailer": (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Flood: " + b"x" * 1000 + b"\r\n"),
}


@pytest.mark.parametrize(("begin", "piece"), ENDLESS.values(), ids=ENDLESS)
def test_endless_data_that_would_be_kept_is_a_protocol_fault(begin, piece):
    response = Response(head_only=False, keep=False)
    if begin:
        response.feed(memoryview(begin))

    def go_on() -> None:
        for _ in range(400):
            response.feed(memoryview(piece))

    with pytest.raises(ProtocolFault):
        go_on()


def test_a_body_of_any_length_is_parsed_in_bounded_memory():
    response = Response(head_only=False)
    response.feed(memoryview(OK + b"Content-Length: 99999999999\r\n\r\n"))

    for _ in range(200):
        response.feed(memoryview(bytes(100_000)))

    assert not response.complete
    assert not response.body


def heads_after(data: bytes, *, head_only: bool = False) -> Heads:
    """Return the heads after a response that arrived in one piece."""
    heads = Heads(head_only=head_only)
    heads.remember(read(data, head_only=head_only), bytearray(data), len(data))
    return heads


def recognised(heads: Heads, data: bytes) -> tuple[int, bool] | None:
    """Return status and keep-alive by the short cut, None if it does not know the head."""
    buffer = bytearray(data) + b"left from an earlier, longer read\r\n\r\n"
    return (heads.status, heads.keep) if heads.find(buffer, len(data)) else None


@pytest.mark.parametrize(("data", "status", "keep"), WHOLE.values(), ids=WHOLE)
def test_the_short_cut_agrees_with_the_parser_or_does_not_know(data, status, keep):
    assert recognised(heads_after(data), data) in {(status, keep), None}


def test_a_head_seen_before_is_recognised_with_another_body():
    heads = heads_after(OK + b"Content-Length: 5\r\n\r\nhello")

    assert recognised(heads, OK + b"Content-Length: 5\r\n\r\nworld") == (200, True)


@given(st.integers(0, 60))
def test_less_or_more_than_a_complete_response_is_never_recognised(length):
    data = OK + b"Content-Length: 5\r\n\r\nhello"
    heads = heads_after(data)
    other = (data + b"and much more than was announced")[:length]

    assert (recognised(heads, other) is not None) == (other == data)


def test_a_response_to_head_is_recognised_without_a_body():
    data = OK + b"Content-Length: 5\r\n\r\n"

    assert recognised(heads_after(data, head_only=True), data) == (200, True)


def test_heads_that_always_differ_do_not_fill_memory():
    heads = Heads(head_only=False)
    for number in range(10_000):
        data = OK + b"X-Id: %d\r\nContent-Length: 0\r\n\r\n" % number
        heads.remember(read(data), bytearray(data), len(data))

    assert len(heads._known) <= 256


@pytest.mark.parametrize("size", [13, 1000, 65_536, 307_199, 307_200, 500_000])
def test_a_head_is_accepted_up_to_300_kib_in_whatever_pieces_it_arrives(size):
    def response(head_bytes: int) -> bytes:
        rest = OK + b"X: " + b"\r\nContent-Length: 100000\r\n\r\n"
        return rest.replace(b"X: ", b"X: " + b"x" * (head_bytes - len(rest))) + bytes(100_000)

    def pieces(data: bytes) -> Response:
        whole = Response(head_only=False, keep=False)
        for begin in range(0, len(data), size):
            whole.feed(memoryview(data)[begin : begin + size])
        return whole

    assert pieces(response(307_200)).complete
    with pytest.raises(ProtocolFault, match="300 KiB"):
        pieces(response(307_201))


def strict(data: bytes) -> tuple[int, bool, bytes] | None:
    """What httptools, which is stricter, understands of one complete response; None if it refuses it."""

    class Reader:
        body, done = b"", False

        def on_body(self, piece):
            self.body += piece

        def on_message_complete(self):
            if parser.get_status_code() >= 200:
                self.done, self.keep = True, parser.should_keep_alive()

    reader = Reader()
    parser = httptools.HttpResponseParser(reader)
    try:
        parser.feed_data(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    return (parser.get_status_code(), reader.keep, reader.body) if reader.done else None


@given(st.data())
def test_what_a_stricter_parser_accepts_is_understood_in_the_same_way(draw):
    data = bytearray(draw.draw(st.sampled_from([whole for whole, _, _ in WHOLE.values()])))
    for _ in range(draw.draw(st.integers(0, 3))):
        at = draw.draw(st.integers(0, len(data)))
        data[at : at + draw.draw(st.integers(0, 2))] = draw.draw(
            st.sampled_from([b"", b"\r", b"\n", b"\r\n", b" ", b":", b"0", b"5", b"a", b",", b"chunked"])
        )
    expected = strict(bytes(data))
    if expected is None:
        return

    status, keep, body = expected
    parser = TolerantParser(head_only=False, keep=True)
    parser.feed(memoryview(data))

    assert (parser.complete, parser.status, parser.keep_alive) == (True, status, keep)
    assert parser.body == body


@pytest.mark.parametrize(("data", "status", "keep"), WHOLE.values(), ids=WHOLE)
@settings(max_examples=10)
@given(cuts=st.lists(st.integers(0, 200), max_size=5))
def test_the_tolerant_parser_understands_usual_responses_as_well(data, status, keep, cuts):
    parser = TolerantParser(head_only=False, keep=False)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for begin, end in itertools.pairwise(edges):
        parser.feed(memoryview(data)[begin:end])

    assert (parser.complete, parser.status, parser.keep_alive) == (True, status, keep)


@given(
    st.lists(st.sampled_from([OK, b"\r\n", b"\n", b" ", b"5", b"Content-Length: ", b"\0", b"HTTP/1.1 100 C"]))
)
def test_the_tolerant_parser_parses_or_refuses_any_bytes_without_another_error(pieces):
    parser = TolerantParser(head_only=False, keep=True)
    with contextlib.suppress(ProtocolFault):
        for piece in pieces:
            parser.feed(memoryview(piece))
