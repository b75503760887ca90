"""Cookies of one user, as RFC 6265 says; its examples of dates and paths."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.units import NS_PER_S
from runner.load.cookies import MAX_COOKIES, CookieJar, cookie_date_ns, default_path

NOW = 1_700_000_000 * NS_PER_S


def head(*lines: str) -> bytes:
    return "".join(["HTTP/1.1 200 OK\r\n", *(f"Set-Cookie: {line}\r\n" for line in lines), "\r\n"]).encode()


def jar(*lines: str, host: str = "shop.example.org", path: str = "/a/b") -> CookieJar:
    made = CookieJar()
    made.store(head(*lines), host, path, NOW)
    return made


def sent(made: CookieJar, host="shop.example.org", path="/a/b", *, secure=False, after_s=0) -> str:
    return made.header(host, path, secure=secure, now_ns=NOW + after_s * NS_PER_S)


def test_a_cookie_is_sent_back_to_its_host_alone():
    made = jar("sid=17")
    assert sent(made) == "sid=17"
    assert sent(made, "example.org") == sent(made, "pay.shop.example.org") == ""


def test_a_domain_covers_the_hosts_below_it():
    made = jar("sid=17; Domain=.example.org")
    assert sent(made) == sent(made, "example.org") == sent(made, "a.b.example.org") == "sid=17"
    assert sent(made, "badexample.org") == ""


@pytest.mark.parametrize("domain", ["evil.org", "pay.shop.example.org", "org", "hop.example.org"])
def test_a_host_sets_no_cookies_for_others(domain):
    assert not jar(f"sid=17; Domain={domain}")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_addresses_and_single_names_have_host_cookies(host):
    made = jar("sid=17", f"other=1; Domain={host}", "evil=1; Domain=0.0.1", host=host)
    assert sent(made, host) == "sid=17; other=1"


@pytest.mark.parametrize(
    ("attribute", "path", "is_sent"),
    [
        ("/a", "/a", True), ("/a", "/a/b", True), ("/a", "/ab", False), ("/a/", "/a/b", True),
        ("/a/", "/a", False), ("relative", "/a/c", True), ("relative", "/b", False), ("", "/a/c", True),
    ],
)  # fmt: skip
def test_a_cookie_is_sent_below_its_path(attribute, path, is_sent):
    assert (sent(jar(f"sid=17; Path={attribute}"), path=path) == "sid=17") is is_sent


def test_paths_by_default_end_at_the_last_slash():
    assert [default_path(path) for path in ("/a/b", "/a/", "/a", "/", "", "x")] == [
        "/a",
        "/a",
        "/",
        "/",
        "/",
        "/",
    ]


def test_longer_paths_come_first_then_older_cookies():
    made = jar("one=1; Path=/", "two=2; Path=/a", "three=3; Path=/")
    made.store(head("one=4; Path=/"), "shop.example.org", "/", NOW)
    assert sent(made) == "two=2; one=4; three=3"


def test_secure_cookies_need_https():
    made = jar("sid=17; Secure; HttpOnly; SameSite=Lax")
    assert (sent(made), sent(made, secure=True)) == ("", "sid=17")


def test_max_age_overrides_expires_and_both_end():
    made = jar(
        "a=1; Max-Age=10; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "b=2; Expires=Wed, 15 Nov 2023 00:00:00 GMT"
    )
    assert [sent(made, after_s=s) for s in (9, 11, 10**6)] == ["a=1; b=2", "b=2", ""]


@pytest.mark.parametrize("end", ["Max-Age=0", "Max-Age=-1", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_cookie_can_be_removed(end):
    made = jar("sid=17; Path=/", "sid=x; Path=/x")
    made.store(head(f"sid=; Path=/; {end}"), "shop.example.org", "/", NOW)
    assert sent(made) == ""
    assert sent(made, path="/x") == "sid=x"


@pytest.mark.parametrize("line", ["novalue", "=nothing", "", "a\x01b=1", f"a={'x' * 4096}"])
def test_what_is_no_cookie_is_ignored(line):
    assert not jar(line)


def test_the_value_keeps_equal_signs_and_quotes():
    assert sent(jar('a="x=y"; Path=/')) == 'a="x=y"'


def test_the_oldest_of_too_many_cookies_goes():
    made = jar(*(f"c{n}={n}; Path=/" for n in range(MAX_COOKIES + 5)))
    names = [pair.partition("=")[0] for pair in sent(made).split("; ")]
    assert names == [f"c{n}" for n in range(5, MAX_COOKIES + 5)]


def test_a_value_is_that_of_the_cookie_created_last():
    made = jar("sid=1; Path=/", "sid=2; Path=/other")
    assert made.value("sid", NOW) == "2"
    assert made.value("none", NOW) is None


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
        "Sun, 06-Nov-1994 08:49:37 GMT", "8:49:37 6 November 94",
    ],
)  # fmt: skip
def test_all_forms_of_dates_are_understood(text):
    assert cookie_date_ns(text) == int(datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC).timestamp()) * NS_PER_S


@pytest.mark.parametrize(
    "text", ["", "never", "Sun, 32 Nov 1994 08:49:37 GMT", "06 Nov 1994", "1 Jan 1599 00:00:00"]
)
def test_what_is_no_date_is_ignored(text):
    assert cookie_date_ns(text) is None


@given(st.lists(st.text(max_size=60), max_size=5))
def test_no_header_makes_it_raise_or_grow_without_bounds(lines):
    made = CookieJar()
    made.store(b"HTTP/1.1 200 OK\r\n" + head(*lines), "localhost", "/", NOW)
    text = sent(made, "localhost", "/")
    assert "\r" not in text
    assert "\n" not in text
