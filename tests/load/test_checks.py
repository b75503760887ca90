"""Which responses are successful, and that no response makes a check raise."""

import gzip
import json
import subprocess
import sys
import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.experiment.model import Expect
from runner.load.check_order import check_order
from runner.load.checks import MAX_DECODED, CheckOrder, Checks, header_fields

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nX-Id: 17\r\n"
    b"Set-Cookie: a=1\r\nset-cookie: b=2\r\n"
)


def checks(**expect):
    """Return the checks of a specification, as a worker decodes them."""
    order = msgspec.json.decode(msgspec.json.encode(check_order(Expect(**expect))), type=CheckOrder)
    return Checks(order)


def failure(expect, body=b"", status=200, head=HEAD):
    return checks(**expect).failure(status, head + b"\r\n", body)


@pytest.mark.parametrize(
    ("accepted", "status", "kind"),
    [
        ([200], 200, ""),
        ([200], 201, "bad_status"),
        (["2xx"], 299, ""),
        (["2xx", 404], 404, ""),
        (["2xx"], 300, "bad_status"),
        (["4xx", "5xx"], 503, ""),
    ],
)
def test_a_status_is_a_code_or_of_a_class(accepted, status, kind):
    one = checks(status=accepted)

    assert one.failure(status) == kind
    assert not one.needs_body
    assert not one.needs_head


@pytest.mark.parametrize(
    ("expect", "body", "good"),
    [
        ({"body_contains": "ü"}, "über".encode(), True),
        ({"body_contains": "a"}, b"", False),
        ({"body_contains": ["a", "b"]}, b"b a", True),
        ({"body_contains": ["a", "b"]}, b"aa", False),
        ({"not_body_contains": "error"}, b"fine", True),
        ({"not_body_contains": ["error", "fail"]}, b"failed", False),
        ({"body_matches": "order [0-9]+"}, b"the order 5", True),
        ({"body_matches": "order [0-9]+"}, b"the order x", False),
        ({"body_matches": "a"}, b"\xff\xfea", True),
    ],
)
def test_a_body_has_and_has_not_some_texts(expect, body, good):
    assert failure(expect, body) == ("" if good else "bad_body")


BODY = json.dumps(
    {"state": "ok", "n": 3, "one": 1, "half": 0.5, "yes": True, "none": None, "list": [1, "a", None],
     "items": [{"id": 1}, {"id": 2}]}
).encode()  # fmt: skip


@pytest.mark.parametrize(
    ("path", "rules", "good"),
    [
        ("$.state", "ok", True),
        ("$.state", "Ok", False),
        ("$.n", 3, True),
        ("$.n", 3.0, True),
        ("$.n", "3", False),
        ("$.one", True, False),
        ("$.yes", True, True),
        ("$.yes", 1, False),
        ("$.none", None, True),
        ("$.missing", None, False),
        ("$.list", [1, "a", None], True),
        ("$.list", [1, "a"], False),
        ("$.list", [True, "a", None], False),
        ("$.n", {"min": 3}, True),
        ("$.n", {"min": 3.1}, False),
        ("$.n", {"min": 1, "max": 3}, True),
        ("$.n", {"max": 2}, False),
        ("$.half", {"min": 0.5, "max": 0.5}, True),
        ("$.state", {"min": 0}, False),
        ("$.yes", {"min": 0}, False),
        ("$.none", {"exists": True}, True),
        ("$.missing", {"exists": True}, False),
        ("$.missing", {"exists": False}, True),
        ("$.n", {"exists": False}, False),
        ("$.missing", {"min": 1}, False),
        ("$.items[*].id", {"min": 1, "max": 2}, True),
        ("$.items[*].id", {"min": 2}, False),
        ("$.items[*].id", 1, False),
        ("$.items[?@.id > 5]", {"exists": False}, True),
        ("$..id", {"exists": True}, True),
    ],
)
def test_a_json_body_has_values_at_paths(path, rules, good):
    assert failure({"json": {path: rules}}, BODY) == ("" if good else "bad_body")


@pytest.mark.parametrize(
    ("name", "rules", "good"),
    [
        ("X-Id", "17", True),
        ("x-id", "17", True),
        ("X-ID", 17, True),
        ("X-Id", "1", False),
        ("Content-Type", {"contains": "json"}, True),
        ("Content-Type", {"contains": "xml"}, False),
        ("Content-Type", {"matches": "charset=utf-8$"}, True),
        ("Content-Type", {"matches": "^json"}, False),
        ("X-Id", {"exists": True}, True),
        ("X-Id", {"exists": False}, False),
        ("X-No", {"exists": False}, True),
        ("X-No", {"exists": True}, False),
        ("X-No", {"contains": "a"}, False),
        ("Set-Cookie", "a=1, b=2", True),
        ("Set-Cookie", {"contains": "b=2"}, True),
    ],
)
def test_a_response_has_and_has_not_some_headers(name, rules, good):
    assert failure({"headers": {name: rules}}) == ("" if good else "bad_header")


def test_a_value_may_continue_on_the_next_line_and_lines_may_end_without_cr():
    assert header_fields(b"HTTP/1.1 200 OK\nA: b\n c\r\nno colon\r\nB:\r\n\r\n") == {"a": "b c", "b": ""}


def test_the_first_failure_counts():
    expect = {"headers": {"X-No": {"exists": True}}, "body_contains": "x"}

    assert failure(expect, status=500) == "bad_status"
    assert failure(expect) == "bad_header"
    assert failure({"body_contains": "x"}) == "bad_body"


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


ENCODED = [
    ("gzip", gzip.compress(BODY)),
    ("x-gzip", gzip.compress(BODY)),
    ("GZIP", gzip.compress(BODY[:9]) + gzip.compress(BODY[9:])),
    ("deflate", zlib.compress(BODY)),
    ("deflate", raw_deflate(BODY)),
    ("identity", BODY),
    ("deflate, gzip", gzip.compress(zlib.compress(BODY))),
]


@pytest.mark.parametrize(("coding", "body"), ENCODED, ids=range(len(ENCODED)))
def test_a_compressed_body_is_decoded_before_it_is_checked(coding, body):
    head = HEAD + f"Content-Encoding: {coding}\r\n".encode()

    assert failure({"json": {"$.state": "ok"}}, body, head=head) == ""
    assert failure({"json": {"$.state": "no"}}, body, head=head) == "bad_body"
    assert failure({"headers": {"X-Id": "17"}}, b"not gzip", head=head) == ""


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(BODY)[:-9]),
        ("gzip", b""),
        ("gzip", BODY),
        ("br", BODY),
        ("gzip", gzip.compress(bytes(MAX_DECODED + 1))),
        ("gzip, gzip", gzip.compress(gzip.compress(bytes(MAX_DECODED + 1)))),
        ("gzip", gzip.compress(b"") * 1000),
        ("gzip,gzip,gzip,gzip", BODY),
    ],
    ids=["cut", "empty", "not compressed", "unknown", "bomb", "nested bomb", "many members", "many codings"],
)
def test_a_body_that_cannot_be_decoded_in_bounded_memory_is_bad(coding, body):
    head = HEAD + f"Content-Encoding: {coding}\r\n".encode()

    assert failure({"not_body_contains": "x"}, body, head=head) == "bad_body"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[" * 100_000, b"1" * 100_000, b'{"a": NaN}', b'"\\ud800"', b"{}{}"]
)
def test_what_is_no_json_is_a_bad_body(body):
    assert failure({"json": {"$.a": {"exists": True}}}, body) == "bad_body"
    assert failure({"json": {"$..a[?@.b]": {"exists": True}}}, body) == "bad_body"


FULL = {
    "status": ["2xx"],
    "body_contains": "a",
    "body_matches": "a",
    "json": {"$.a": 1, "$..b": {"min": 1}},
    "headers": {"a": {"matches": "x"}, "b": {"exists": False}},
}


@given(
    st.integers(0, 999), st.binary(max_size=100), st.binary(max_size=100), st.sampled_from(["", "gzip", "br"])
)
def test_no_response_makes_a_check_raise(status, head, body, coding):
    head += f"\r\nContent-Encoding: {coding}\r\n\r\n".encode()
    for key in FULL.keys() - {"status"}:
        assert checks(status=["2xx"], **{key: FULL[key]}).failure(status, head, body) in {
            "", "bad_status", "bad_header", "bad_body",
        }  # fmt: skip


def test_a_worker_that_checks_stays_light():
    code = (
        "import sys; from runner.load.checks import Checks, CheckOrder; Checks(CheckOrder(contains=(b'a',)));"
        "heavy = ('pydantic', 'trio', 're2', 'jsonpath_rfc9535', 'yaml');"
        "print([name for name in heavy if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout == "[]\n"
