"""One request outside the load: what arrives, what is taken out of the response, and its bounds."""

import gzip
import json
import re

import pytest

from runner.core.endpoint import Endpoint
from runner.experiment.hooks import Extraction
from runner.load.extraction import MAX_VALUE, extract
from runner.load.single_request import NoResponse, Received, send_request
from tests.servers.scripted import scripted

OK = b"HTTP/1.1 200 OK\r\n"


async def response_to(script, *, head_only=False, **options) -> Received:
    with scripted(script, **options) as port:
        request = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
        return await send_request(Endpoint("127.0.0.1", port), request, head_only=head_only)


def sends(*pieces: bytes):
    def script(client, _request):
        for piece in pieces:
            client.sendall(piece)
        client.close()

    return script


@pytest.mark.parametrize(
    ("pieces", "body"),
    [
        ([OK + b"Content-Length: 3\r\n\r\nabc"], b"abc"),
        ([OK + b"Transfer-Encoding: chunked\r\n\r\n", b"2\r\nab\r\n", b"1\r\nc\r\n0\r\n\r\n"], b"abc"),
        ([OK + b"\r\n", b"ab", b"c"], b"abc"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n"], b""),
    ],
    ids=["length", "chunks", "until close", "interim"],
)
async def test_a_complete_response_is_returned(pieces, body):
    received = await response_to(sends(*pieces))

    assert (received.status, received.body) == (200, body)
    assert received.head.startswith(b"HTTP/1.1 200")


async def test_the_server_receives_the_request_byte_for_byte_and_a_response_to_head_has_no_body():
    requests = []

    def script(client, request):
        requests.append(request)
        client.sendall(OK + b"Content-Length: 99\r\n\r\n")

    received = await response_to(script, head_only=True)

    assert received.body == b""
    assert requests == [b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"]


@pytest.mark.parametrize(
    ("piece", "reason"),
    [
        (OK + b"Content-Length: 9\r\n\r\nabc", "closed before the response was complete"),
        (b"", "closed before the response was complete"),
        (b"hello\r\n\r\n", "not valid HTTP/1.1"),
        (OK + b"Content-Length: 2000000\r\n\r\n" + b"x" * 2_000_000, "larger than 1 MiB"),
    ],
    ids=["cut off", "nothing", "no HTTP", "too large"],
)
async def test_what_is_no_complete_response_says_why(piece, reason):
    with pytest.raises(NoResponse, match=reason):
        await response_to(sends(piece))


async def test_a_refused_connection_says_why():
    with scripted(sends(b"")) as port:
        pass
    with pytest.raises(NoResponse, match="no connection was possible: Connection refused"):
        await send_request(Endpoint("127.0.0.1", port), b"GET / HTTP/1.1\r\n\r\n", head_only=False)


def received(body: bytes, head: bytes = b"") -> Received:
    return Received(200, OK + head + b"\r\n", body)


DOCUMENT = json.dumps({"id": 41, "name": "ä", "ok": True, "none": None, "list": [{"a": 1.5}]}).encode()


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ({"json": "$.id"}, 41),
        ({"json": "$.name"}, "ä"),
        ({"json": "$.ok"}, True),
        ({"json": "$.list[0].a"}, 1.5),
        ({"json": "$.list[?@.a > 1].a"}, 1.5),
        ({"regex": '"id": ([0-9]+)'}, "41"),
        ({"regex": '"id": [0-9]+'}, '"id": 41'),
        ({"header": "location"}, "/orgs/41"),
    ],
    ids=str,
)
def test_a_value_is_taken_from_where_it_stands(source, value):
    response = received(DOCUMENT, b"Location: /orgs/41\r\n")

    assert extract(Extraction(**source), response) == value
    assert type(extract(Extraction(**source), response)) is type(value)


def test_a_value_is_taken_from_a_compressed_body():
    response = received(gzip.compress(DOCUMENT), b"Content-Encoding: gzip\r\n")

    assert extract(Extraction(json="$.id"), response) == 41


@pytest.mark.parametrize(
    ("source", "body", "reason"),
    [
        ({"json": "$.org"}, DOCUMENT, "there is nothing at $.org in the body"),
        ({"json": "$.none"}, DOCUMENT, "$.none is null, not a single value"),
        ({"json": "$.list"}, DOCUMENT, "$.list is an object or a list, not a single value"),
        ({"json": "$.id"}, b"<html>", "the body is not JSON"),
        ({"json": "$.id"}, b"\xff", "the body is not JSON"),
        ({"json": "$.id"}, b"[" * 200_000, "the JSON in the body is nested too deeply"),
        ({"json": "$"}, b'"a\\u0000b"', "it contains a NUL character"),
        ({"json": "$"}, b'"\\ud800"', "it is not text that UTF-8 can express"),
        ({"json": "$"}, b'"%s"' % (b"x" * (MAX_VALUE + 1)), "it is longer than 64 KiB"),
        ({"regex": "nowhere"}, DOCUMENT, "the regular expression matches nowhere in the body"),
        ({"regex": "(x)|id"}, DOCUMENT, "the regular expression matches nowhere in the body"),
        ({"header": "X-Org"}, DOCUMENT, "the response has no header X-Org"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_value_that_cannot_be_used_says_why(source, body, reason):
    with pytest.raises(ValueError, match=f"^{re.escape(reason)}$"):
        extract(Extraction(**source), received(body))
