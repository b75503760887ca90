"""A secret is masked in any composition of encodings, and a text without it stays as it is."""

import html
import json
import quopri
import shlex
from base64 import b32encode, b64encode, encodebytes, urlsafe_b64encode
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.core.masking import mask_bytes, mask_lines, mask_secrets

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~/+@:!$*?,;é☃"
values = st.text(ALPHABET, min_size=10, max_size=60).filter(
    lambda value: sum(c.isascii() and c.isalnum() for c in value) >= 8 and len(set(value)) > 5
)


def of_bytes(template):
    return lambda character: "".join(template.format(byte) for byte in character.encode())


def utf16(template):
    def encode(character):
        units = character.encode("utf-16-be")
        return "".join(template.format(units[at] << 8 | units[at + 1]) for at in range(0, len(units), 2))

    return encode


CHARACTERS = {
    "itself": lambda c: c,
    "percent": of_bytes("%{:02x}"),
    "PERCENT": of_bytes("%{:02X}"),
    "percent twice": of_bytes("%25{:02X}"),
    "JSON": utf16("\\u{:04x}"),
    "JSON in JSON": utf16("\\\\u{:04X}"),
    "bytes": of_bytes("\\x{:02x}"),
    "octal": of_bytes("\\{:03o}"),
    "HTML": lambda c: f"&#{ord(c)};",
    "HTML hexadecimal": lambda c: f"&#x{ord(c):X};",
    "HTML escaped": lambda c: f"&amp;#{ord(c)};",
    "quoted-printable": of_bytes("={:02X}"),
    "Rust": lambda c: f"\\u{{{ord(c):x}}}",
}
NOISE = [
    "", "\x1b[31m", "\x1b(B", "\x1b]0;a title\x07", "\x9b1m", "\x00", "\r", "\r\n\t", "\n    ",
    "\\\n  ", "=\r\n", "\u200b", "\u2060", "\ufeff", "\u00ad", "\a", '"', "'\\''", '" +\n "',
]  # fmt: skip
STRINGS = ["\x1b]8;;http://x\x1b\\", "\x1bP1;2q\x1b\\", "\x1b_x\x1b\\", "\x9d0;x\x9c"]
TEXTS = {
    "percent": lambda text: quote(text, safe=""),
    "JSON": json.dumps,
    "JSON in UTF-8": lambda text: json.dumps(text, ensure_ascii=False),
    "HTML": html.escape,
    "repr": repr,
    "repr of bytes": lambda text: repr(text.encode()),
    "shell": shlex.quote,
    "quoted-printable": lambda text: quopri.encodestring(text.encode()).decode(),
    "base64": lambda text: b64encode(b"user:" + text.encode()).decode(),
    "base64 of one more": lambda text: b64encode(b"x" + text.encode() + b"yz").decode(),
    "base64 for URLs": lambda text: urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 in lines": lambda text: encodebytes(text.encode()).decode(),
    "base64 in JSON": lambda text: json.dumps(encodebytes(text.encode()).decode()),
    "base32": lambda text: b32encode(text.encode()).decode(),
    "base32, small": lambda text: b32encode(b"ab" + text.encode()).decode().lower().rstrip("="),
    "hexadecimal": lambda text: text.encode().hex(),
    "HEXADECIMAL": lambda text: text.encode().hex(":").upper(),
    "array in C": lambda text: ", ".join(f"0x{byte:02x}" for byte in text.encode()),
    "list": lambda text: str(list(text.encode())),
}
BLOCKS = {name for name in TEXTS if name.startswith(("base", "hex", "HEX", "array", "list"))}


@pytest.mark.parametrize("inner", TEXTS)
def test_a_secret_in_two_encodings_is_masked(inner):
    value = 'hunter2/"quoted" & <more>+ü\N{SNOWMAN}='
    for outer, encode in TEXTS.items():
        masked = mask_secrets(f"before {encode(TEXTS[inner](value))} after", {"TOKEN": value})

        assert masked.startswith("before "), (outer, masked)
        assert masked.endswith(" after"), (outer, masked)
        assert "[TOKEN]" in masked, (outer, masked)
        assert len(masked) < 100, (outer, masked)


@pytest.mark.parametrize("encode", TEXTS.values(), ids=TEXTS)
def test_what_is_ignorable_does_not_hide_a_secret(encode):
    printed = [encode(f"hunter{noise}2-token") for noise in (*NOISE, *STRINGS)]
    masked = [mask_secrets(f"before {text} after", {"TOKEN": "hunter2-token"}) for text in printed]

    assert [text for text in masked if "[TOKEN]" not in text] == []


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=values, data=st.data())
def test_any_composition_of_encodings_is_masked(value, data):
    ways = data.draw(st.lists(st.sampled_from(list(CHARACTERS)), min_size=len(value), max_size=len(value)))
    noise = data.draw(st.lists(st.sampled_from(NOISE), min_size=len(value), max_size=len(value)))
    noise[0] = ""
    printed = "".join(gap + CHARACTERS[way](c) for gap, way, c in zip(noise, ways, value, strict=True))
    outer = data.draw(st.lists(st.sampled_from(list(TEXTS)), max_size=3))
    for name in outer if sum(name in BLOCKS for name in outer) <= 2 else outer[:1]:
        printed = TEXTS[name](printed)

    masked = mask_secrets(f"({printed}; and more", {"TOKEN": value})

    assert masked.startswith("("), masked
    assert masked.endswith("; and more"), masked
    assert "[TOKEN]" in masked, masked


@settings(deadline=None)
@given(text=st.text() | st.text(ALPHABET + "%\\=&#; \n\x1b[\x08"))
@pytest.mark.parametrize(
    "value", ["hunter2-token", "Zq9-kV3.xT7_mB5wLdR2/8f+Ab==", "two words\nin lines", "ab12"]
)
def test_a_text_without_the_secret_stays_as_it_is(text, value):
    assert mask_secrets(text, {"TOKEN": value}) == text


@given(data=st.binary())
def test_bytes_without_the_secret_stay_as_they_are(data):
    assert mask_bytes(data, {"TOKEN": "hunter2-token"}) == data


@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16-be", "utf-32-le", "latin-1", "utf-16"])
def test_a_secret_in_another_charset_is_masked(charset):
    value = "pässwörd-of-thé-app"

    masked = mask_bytes(f"before {value} after".encode(charset), {"TOKEN": value})

    assert b"[TOKEN]" in masked
    assert "ssw".encode(charset) not in masked


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("abcd", "grab cd and abc d"),
        ("it is", "arthritis"),
        ("pass", "p a s s"),
        ("prod-password-x", "the password of sword-x"),
        ("abc", "abc"),
    ],
)
def test_a_short_secret_does_not_destroy_a_text(value, text):
    assert mask_secrets(text, {"TOKEN": value}) == text


def test_what_a_terminal_erases_does_not_hide_a_secret():
    assert mask_secrets("a hunx\x08ter2-toky\x08\x08ken b", {"T": "hunter2-token"}).count("hun") == 0
    assert mask_secrets("a " + "\x08".join("hunter2-token") + " b", {"T": "hunter2-token"}) == "a [T] b"


def test_basic_authentication_and_the_userinfo_of_an_address_are_masked():
    basic = b64encode(b"admin:hunter2-token").decode()

    text = f"Authorization: Basic {basic}\nhttp://admin:hunter2%2Dtoken@host/"
    assert (
        mask_secrets(text, {"T": "hunter2-token"})
        == "Authorization: Basic YWRtaW46[T]==\nhttp://admin:[T]@host/"
    )


def test_a_secret_over_several_lines_is_masked_in_each():
    assert mask_lines(["a hunter2", "  -token b", "c"], {"T": "hunter2-token"}) == ("a [T] b", "c")


@pytest.mark.parametrize("text", ["", "a", "%", "\\", "\x1b", "&", "=", "\ud800"])
def test_every_text_can_be_masked(text):
    assert mask_secrets(text, {"T": "hunter2-token"}) == text
