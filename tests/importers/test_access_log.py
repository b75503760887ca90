"""An access log becomes a mix with the measured shares, whose values belong together as in the log."""

import csv
import gzip
import io
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.errors import UsageError
from runner.importers import recognise
from runner.importers.log_mix import MAX_ROWS
from runner.importers.recognise import draft_of
from tests.importers.imported import FILES, Imported, imported


@pytest.fixture(scope="module")
def log():
    return imported("access.log")


def line(target="/", method="GET", status=200, time="29/Nov/2026:10:00:00"):
    return f'192.0.2.1 - - [{time} +0000] "{method} {target} HTTP/1.1" {status} 12 "-" "Mozilla"\n'


def of(*lines):
    return Imported("".join(lines).encode())


def rows(log, name):
    return list(csv.reader(io.StringIO(log.draft.files[name])))


def test_weights_are_the_measured_shares(log):
    weights = {request["name"]: request["weight"] for request in log.load["requests"]}

    assert weights == {
        "items-id": 27.27, "search": 18.18, "users-orders-id": 18.18, "items": 9.09, "feed": 9.09,
        "head-home": 9.09, "caf": 9.09,
    }  # fmt: skip


def test_identifiers_are_a_variable_with_the_measured_weights(log):
    assert log.request("items-id")["path"] == "/items/${item_id}"
    assert log.load["variables"]["item_id"] == {"choice": {"42": 2, "17": 1}}


def test_values_of_one_request_stay_together(log):
    path = log.request("users-orders-id")["path"]

    assert path == "/users/${users_orders_id.user_id}/orders/${users_orders_id.order_id}"
    assert rows(log, "users-orders-id.csv") == [["user_id", "order_id"], ["7", "9"], ["8", "3"]]
    assert rows(log, "search.csv") == [["page", "q"], ["1", "blue shoes"], ["2", "café"]]


def test_secrets_of_a_query_are_read_from_the_environment(log):
    assert log.request("feed")["query"] == {"api_key": "${api_key}"}
    assert "s3cr3tk3y" not in log.text + str(log.draft.files)


def test_escaped_signs_are_those_that_were_requested(log):
    caf = log.request("caf")

    assert (caf["path"], caf["query"]) == ("/caf%C3%A9", {"x": '"$${y}"'})


def test_what_is_left_out_is_listed(log):
    for words in (
        "a log does not contain the body that was sent: POST /orders",
        "answered with status 404: GET /wp-login.php",
        "no requests in the common or combined format: 3 lines",
    ):
        assert words in log.comments


def test_the_busiest_minute_is_the_first_rate():
    busy = of(*[line(time="29/Nov/2026:10:01:07")] * 300, *[line(time="29/Nov/2026:10:02:07")] * 60)

    assert [stage.rps for stage in busy.experiment.configurations[0].stages] == [5, 10, 20]


def test_a_redirect_is_expected_as_it_was_measured_and_no_cached_response():
    mixed = of(line("/a", status=301), line("/b", status=304), line("/b"), line("/b", status=206))

    assert mixed.request("a")["expect"] == {"status": [301]}
    assert "expect" not in mixed.request("b")


def test_the_names_of_many_files_in_a_folder_are_values():
    folder = of(*(line(f"/blog/title-{chr(97 + n)}") * (n + 1) for n in range(26)), line("/about/us"))

    (blog,) = [one for one in folder.load["requests"] if one["name"].startswith("blog")]
    assert blog["path"].startswith("/blog/${")
    assert folder.request("about-us")["path"] == "/about/us"
    (file,) = folder.draft.files
    assert Counter(row[0] for row in rows(folder, file)[1:])["title-z"] == 26


def test_many_rows_keep_their_shares_within_the_limit():
    hits = Counter({f"/items/{number}": 1 + 5 * (number % 3) for number in range(3000)})
    many = of(*(line(path) * times for path, times in hits.items()))

    kept = rows(many, "items-id.csv")[1:]
    assert MAX_ROWS - 1 <= len(kept) <= MAX_ROWS
    often = sum(int(row[0]) % 3 == 2 for row in kept) / len(kept)
    assert often == pytest.approx(11 / 18, abs=0.02)


def test_less_frequent_requests_are_counted():
    varied = of(*(line(f"/a{chr(97 + n % 26)}{'x' * (n // 26)}/b") for n in range(80)), line("/often") * 2)

    assert len(varied.load["requests"]) <= 60
    assert "less frequent than the 60" in varied.comments or len(varied.load["requests"]) < 5


@given(
    st.lists(
        st.tuples(st.sampled_from(["/", "/a/1", "/a/2?x=1", "/b", "/c?y=2&x=1"]), st.integers(1, 9)),
        min_size=1,
    )
)
@settings(max_examples=15, deadline=None)
def test_weights_add_up_to_all_requests(hits):
    lines = [line(target) for target, times in hits for _ in range(times)]
    random.Random(1).shuffle(lines)

    draft = draft_of("".join(lines).encode())

    assert sum(request.weight for request in draft.requests) == pytest.approx(100, abs=0.05)


def test_a_packed_log_is_the_same():
    content = (FILES / "access.log").read_bytes()

    packed = Imported(gzip.compress(content[:900]) + gzip.compress(content[900:]))

    assert packed.load == imported("access.log").load


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (line("/orders", "POST").encode(), "none of its lines is a request that can be repeated"),
        (line(status=500).encode(), "none of its lines"),
        (b"hello\n" * 100, "none of the known kinds"),
        (line().encode().replace(b'"GET', b'"' + b"A" * 1_000_000), "none of the known kinds"),
        (b'{"remote_addr": "192.0.2.1", "status": 200}\n' * 3, "no valid JSON"),
        (gzip.compress(line().encode())[:-9], "end too early"),
        (gzip.compress(b"")[:10] + b"\xff" * 50, "cannot be unpacked"),
    ],
)
def test_what_is_no_log_is_refused(content, words):
    with pytest.raises(UsageError, match=words):
        draft_of(content)


def test_a_bomb_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(recognise, "MAX_FILE", 1_000_000)

    with pytest.raises(UsageError, match="when unpacked"):
        draft_of(gzip.compress(bytes(50_000_000)))


def test_a_line_of_a_megabyte_is_counted_and_left_out():
    long = of(line(), line("/" + "a" * 1_000_000), line("/b"))

    assert "1 line\n" in long.comments
    assert len(long.load["requests"]) == 2
