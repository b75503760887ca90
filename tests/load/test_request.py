"""The bytes of a request, as a server and Python's own parsers read them."""

import json
from email import message_from_bytes
from email.policy import HTTP
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.endpoint import Endpoint
from runner.core.errors import EnvironmentLacks
from runner.experiment.model import Load
from runner.load.calibration_load import calibration_load
from runner.load.inputs import Inputs
from runner.load.request import rendered

HERE = Endpoint("127.0.0.1", 8080)
SECRET = {"variables": {"token": {"env": "TOKEN"}}}
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


def sent(request, *, values=None, files=None, endpoint=HERE, connection="keep-alive", **load):
    """Return request line, headers and body of the only request."""
    (part,) = Load(request=request, connection=connection, **load).parts
    raw = rendered(part, endpoint, connection, Inputs(values or {}, files or {}))
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    headers = dict(entry.split(": ", 1) for entry in lines)
    assert len(headers) == len(lines)
    if "Content-Length" in headers:
        assert int(headers["Content-Length"]) == len(body)
    return line, headers, body


def test_a_plain_request_is_sent_as_before():
    (part,) = Load().parts

    assert rendered(part, HERE, "keep-alive") == (
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: loadproof\r\nAccept: */*\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        ({"path": "/a?b=c"}, "GET /a?b=c HTTP/1.1"),
        (
            {"path": "/a", "query": {"q": "blue shoes", "n": 2, "x": 1.50}},
            "GET /a?q=blue%20shoes&n=2&x=1.5 HTTP/1.1",
        ),
        ({"path": "/a?b=c", "query": {"d&": ["1", "ü"]}}, "GET /a?b=c&d%26=1&d%26=%C3%BC HTTP/1.1"),
        ({"path": "/a/$${b}", "query": {"c": "$${"}}, "GET /a/${b}?c=%24%7B HTTP/1.1"),
    ],
)
def test_a_query_is_appended_to_the_path(request_, line):
    assert sent(request_)[0] == line


def test_the_endpoints_prefix_and_the_connection_are_part_of_the_request():
    endpoint = Endpoint("::1", 443, "https", base_path="/api")
    line, headers, body = sent({"path": "/a", "method": "POST"}, endpoint=endpoint, connection="new")

    assert line == "POST /api/a HTTP/1.1"
    assert (headers["Host"], headers["Connection"], headers["Content-Length"]) == ("[::1]", "close", "0")
    assert body == b""


DOCUMENT = {
    "sku": "a-1",
    "n": 2,
    "x": 1.5,
    "yes": True,
    "none": None,
    "list": ["ü", {"k": '"\\\n'}],
    "$${": "$${",
}


def test_json_is_sent_as_json():
    _, headers, body = sent({"method": "POST", "json": DOCUMENT})

    assert headers["Content-Type"] == "application/json"
    expected = {key: value for key, value in DOCUMENT.items() if key != "$${"} | {"${": "${"}
    assert json.loads(body) == expected
    assert sent({"method": "POST", "json": False})[2] == b"false"
    assert sent({"method": "POST", "json": "text"})[2] == b'"text"'


def test_a_form_is_sent_as_a_browser_sends_it():
    form = {"user": "Ada L", "pass&": "ü=1+1", "many": ["1", "2"], "empty": ""}
    _, headers, body = sent({"method": "POST", "form": form})

    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert body.startswith(b"user=Ada+L&pass%26=%C3%BC%3D1%2B1&")
    assert parse_qsl(body.decode(), keep_blank_values=True) == [
        ("user", "Ada L"), ("pass&", "ü=1+1"), ("many", "1"), ("many", "2"), ("empty", "")
    ]  # fmt: skip


def parts_of(headers, body):
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    return message_from_bytes(head + body, policy=HTTP).get_payload()


def test_multipart_is_read_back_by_pythons_mail_parser():
    picture = bytes(range(256)) * 3 + b"\r\n--"
    multipart = [
        {"name": "title", "value": "Ü"},
        {"name": 'a "b"\r\n', "value": "{}", "content_type": "application/json"},
        {"name": "file", "file": "img/cat.png"},
        {"name": "other", "file": "img/cat.png", "filename": "x.png", "content_type": "image/png"},
    ]
    _, headers, body = sent({"method": "POST", "multipart": multipart}, files={"img/cat.png": picture})
    title, strange, file, other = parts_of(headers, body)

    assert headers["Content-Type"].startswith("multipart/form-data; boundary=loadproof-")
    assert title["Content-Disposition"] == 'form-data; name="title"'
    assert (title["Content-Type"], title.get_payload(decode=True)) == (None, "Ü".encode())
    assert strange["Content-Disposition"] == 'form-data; name="a %22b%22%0D%0A"'
    assert strange["Content-Type"] == "application/json"
    assert file["Content-Disposition"] == 'form-data; name="file"; filename="cat.png"'
    assert file["Content-Type"] == "application/octet-stream"
    assert other["Content-Disposition"] == 'form-data; name="other"; filename="x.png"'
    assert body.count(picture) == 2
    assert sent({"method": "POST", "multipart": multipart}, files={"img/cat.png": picture})[2] == body


@pytest.mark.parametrize("given", ["multipart/mixed; boundary=xyz", 'multipart/mixed; boundary="xyz"'])
def test_a_boundary_in_a_header_is_used(given):
    request = {"method": "POST", "headers": {"content-type": given}, "multipart": [{"name": "a", "value": 1}]}
    _, headers, body = sent(request)

    assert headers["content-type"] == given
    assert "Content-Type" not in headers
    assert body.startswith(b"--xyz\r\n")
    assert body.endswith(b"--xyz--\r\n")


def test_a_multipart_type_without_a_boundary_gets_one():
    request = {
        "method": "POST",
        "headers": {"content-type": "multipart/mixed"},
        "multipart": [{"name": "a", "value": 1}],
    }
    _, headers, body = sent(request)

    boundary = headers["content-type"].removeprefix("multipart/mixed; boundary=")
    assert body.startswith(f"--{boundary}\r\n".encode())


def test_a_content_type_of_the_specification_replaces_ours():
    _, headers, _ = sent({"method": "POST", "headers": {"content-type": "text/x"}, "json": {}})

    assert headers["content-type"] == "text/x"
    assert "Content-Type" not in headers


def test_a_file_is_sent_byte_for_byte():
    content = b"\0\xff${token}\r\n" * 1000
    _, headers, body = sent({"method": "PUT", "body_file": "data/a.bin"}, files={"data/a.bin": content})

    assert body == content
    assert "Content-Type" not in headers
    assert sent({"method": "PUT", "body_file": "e"}, files={"e": b""})[1]["Content-Length"] == "0"


@given(VALUES)
def test_a_value_arrives_whatever_it_contains(value):
    request = {"path": "/a/${token}/b", "query": {"q": "x${token}"}, "method": "POST"}
    line, _, body = sent(request | {"json": {"a": ["${token}!"]}}, values={"token": value}, **SECRET)
    parts = urlsplit(line.split(" ")[1])

    assert line.count(" ") == 2
    assert parts.path.count("/") == 3
    assert parse_qsl(parts.query) == [("q", f"x{value}")]
    assert json.loads(body) == {"a": [f"{value}!"]}
    form = sent({"method": "POST", "form": {"f": "${token}"}}, values={"token": value}, **SECRET)[2]
    assert parse_qsl(form.decode(), keep_blank_values=True) == [("f", value)]
    text = sent({"method": "POST", "body": "<${token}>"}, values={"token": value}, **SECRET)[2]
    assert text.decode() == f"<{value}>"


def test_a_header_takes_a_value_as_it_is():
    request = {"headers": {"Authorization": "Bearer ${token}"}}

    assert sent(request, values={"token": "a+/=b"}, **SECRET)[1]["Authorization"] == "Bearer a+/=b"


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\n", "ü", "a ", "\0", "x" * 9000])
def test_a_value_that_no_header_can_have_is_refused_without_showing_it(value):
    with pytest.raises(EnvironmentLacks, match="variable token cannot be sent in the header X") as caught:
        sent({"headers": {"X": "${token}"}}, values={"token": value}, **SECRET)
    assert value not in caught.value.message + caught.value.hint


def test_a_calibration_offers_a_request_of_the_same_size_without_secrets_and_files():
    load = Load(
        variables={"token": {"env": "TOKEN"}},
        requests=[
            {"name": "a", "method": "GET"},
            {
                "name": "b",
                "weight": 9,
                "method": "POST",
                "path": "/x/$${",
                "query": {"q": "${token}"},
                "headers": {"X": "${token}"},
                "multipart": [{"name": "f", "file": "a.bin"}, {"name": "t", "value": "${token}"}],
            },
        ],
        expect={"body_contains": "x"},
    )
    files = {"a.bin": b"12345"}
    plain = calibration_load(load, files)
    (part,) = plain.parts
    real = rendered(load.parts[1], HERE, "keep-alive", Inputs({"token": "y" * 32}, files))

    assert (plain.variables, plain.requests, plain.expect.body_checks) == ({}, (), ())
    assert len(rendered(part, HERE, "keep-alive")) == len(real)
    assert b"12345" not in rendered(part, HERE, "keep-alive")
