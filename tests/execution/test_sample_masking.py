"""What a service sent is stored and shown with secrets masked, printable, and on one short line."""

import pytest
from msgspec.structs import replace

from runner.core.load_facts import LoadFacts, LoadSecond, ResponseSample
from runner.execution.sample_masking import with_masked_samples

LOAD = LoadFacts("builtin", 1, 1, (LoadSecond(0),), complete=True, clock="none")
SECRET = "hunter2-secret"
KEY = "-----BEGIN KEY-----\nAAAAB3NzaC1yc2EAAAADAQAB\tAA\n-----END KEY-----"
SECRETS = {"TOKEN": SECRET, "KEY": KEY}


def shown(text: str) -> str:
    """The body and the header of a sample with this text, which are treated alike."""
    sample = ResponseSample("bad_status", 500, (("location", text),), text)
    load = replace(LOAD, seconds=(LoadSecond(0), LoadSecond(1, samples=(sample,))))
    (_, second) = with_masked_samples(load, SECRETS).seconds
    ((_, header),) = second.samples[0].headers
    assert header == second.samples[0].body
    return header


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        ("plain", "plain"),
        ("two\r\n\tlines", "two lines"),
        ("bell\a null\0 turned\u202e", "bell\ufffd null\ufffd turned\ufffd"),
        ("\x1b[31mred\x1b[0m", "red"),
        (f"token={SECRET};", "token=[TOKEN];"),
        (KEY, "[KEY]"),
        ("x" * 2043 + SECRET, "x" * 2043 + "[TOKE"),
        ("x" * 1990 + SECRET[:10], "x" * 1990 + "[TOKEN]"),
        ("y" * 3000, "y" * 2048),
    ],
)
def test_a_sample_is_one_short_printable_line_without_secrets(received, expected):
    assert shown(received) == expected


def test_what_is_shown_of_a_sample_is_an_excerpt():
    sample = ResponseSample("bad_status", 500, (("location", "x" * 999),), "y" * 2048)

    assert sample.excerpt() == ResponseSample("bad_status", 500, (("location", "x" * 200),), "y" * 200)


def test_facts_without_samples_stay_as_they_are():
    assert with_masked_samples(LOAD, SECRETS) == LOAD
