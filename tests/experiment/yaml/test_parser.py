"""Untrusted YAML is parsed within limits, and problems are reported with their position."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.experiment.problems import Refused
from runner.experiment.yaml.parser import MAX_NODES, parse
from runner.experiment.yaml.text import MAX_BYTES
from runner.experiment.yaml.tree import marks, plain
from tests.experiment.samples import DESIGN, MINIMAL, PROCESS, error, only, read, refusal, sole

TOKENS = [
    *"[]{}:,-?|>&*!%#@`\"'\t\n \\",
    "<<",
    "- ",
    ": ",
    "&a",
    "*a",
    "!!set",
    "---\n",
    "...",
    "\n  ",
    "\r\n",
    "\u2028",
    "é",
    "\ufeff",
    "日本",
    "4,000",
    '"\\ud800"',
    '"\\UFFFFFFFF"',
    "1e400",
    ".nan",
    "null",
    "true",
    "{port}",
    "%YAML 9999999999.1\n",
    "kind: docker",
]


def whole(text: str) -> object:
    node, faults = parse(text)
    assert not faults
    assert node is not None
    return plain(node)


@given(st.binary(max_size=300))
def test_any_bytes_are_an_experiment_or_a_specification_error(raw: bytes) -> None:
    refused = refusal(raw)

    assert refused is None or refused.problems


@given(st.lists(st.sampled_from(TOKENS) | st.text(max_size=3), max_size=30).map("".join))
def test_any_yaml_like_text_is_an_experiment_or_a_specification_error(text: str) -> None:
    refused = refusal(text.encode("utf-8", "surrogatepass"))

    assert refused is None or refused.problems


@given(
    base=st.sampled_from([MINIMAL, PROCESS, DESIGN]),
    edits=st.lists(
        st.tuples(st.integers(0, 1200), st.integers(0, 12), st.sampled_from(TOKENS)), min_size=1, max_size=4
    ),
)
def test_every_problem_in_a_damaged_file_is_inside_its_text(base: str, edits: list) -> None:
    for at, cut, token in edits:
        base = base[: at % len(base)] + token + base[at % len(base) + cut :]
    lines = base.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    refused = refusal(base)

    for position in refused.positions if refused else ():
        assert 1 <= position.line <= len(lines)
        assert 1 <= position.column <= len(lines[position.line - 1]) + 1
        assert position.message


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(st.characters(codec="utf-8"), max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)
        ),
        max_leaves=20,
    )
)
def test_json_means_in_yaml_what_it_means_in_json(value: object) -> None:
    import json

    assert whole(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("written", "meaning"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("No", "No"),
        ("True", "True"),
        ("true", True),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("010", "010"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("1e400", "1e400"),
        ("9" * 30, "9" * 30),
        ("0", 0),
        ("-7", -7),
        ("1.50", 1.5),
        ("1e3", 1000.0),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ('"null"', "null"),
        ("=", "="),
    ],
)
def test_an_unquoted_word_has_the_type_it_looks_like(written: str, meaning: object) -> None:
    assert whole(f"key: {written}") == {"key": meaning}
    assert type(whole(f"key: {written}")["key"]) in {type(meaning), *type(meaning).__subclasses__()}


def test_aliases_repeat_the_anchored_value() -> None:
    assert whole("a: &x [1, 2]\nb: *x") == {"a": [1, 2], "b": [1, 2]}


def billion_laughs(levels: int = 12, width: int = 9) -> str:
    laughs = (f"l{n}: &l{n} [" + ", ".join([f"*l{n - 1}"] * width) + "]" for n in range(1, levels))
    return "\n".join(["l0: &l0 lol", *laughs])


def alias_ladder(levels: int = 200) -> str:
    return "l0: &l0 [x]\n" + "\n".join(f"l{n}: &l{n} [*l{n - 1}]" for n in range(1, levels))


BOMBS = {
    "lists in lists": "[" * 100_000,
    "maps in maps": "{" * 100_000,
    "maps in lists in maps": "[{a: " * 50_000,
    "block lists": "- " * 100_000,
    "block maps": "\n".join(" " * n + "a:" for n in range(1_000)),
    "complex keys": "? " * 100_000,
    "a billion laughs": billion_laughs(),
    "aliases as deep as a ladder": alias_ladder(),
    "many entries": "- a\n" * (MAX_NODES + 1),
    "many keys": "\n".join(f"k{n}: v" for n in range(MAX_NODES + 1)),
    "many anchors": "- &a a\n" * (MAX_NODES + 1),
    "many documents": "---\n" * 100_000,
    "a huge word": "name: " + "x" * 500_000,
    "a huge key": "x" * 500_000 + ": 1",
    "a huge number": "version: " + "9" * 500_000,
    "a huge version": "%YAML " + "9" * 100_000 + ".1\n--- 1",
    "many unknown keys": "version: 1\n" + "\n".join(f"verslon{n}: 1" for n in range(4_000)),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_with_a_short_message(bomb: str) -> None:
    refused = error(bomb)

    assert len(refused.problems) <= 51
    assert all(len(problem) < 1_000 for problem in refused.problems)


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_bomb_in_a_set_is_refused_too(bomb: str) -> None:
    assert error(MINIMAL, f"load={bomb}").problems


def test_too_many_configurations_are_refused_before_they_are_merged() -> None:
    stages = "\n".join(f"  - {{rps: {n + 1}, duration: 10s}}" for n in range(100))
    configurations = "\n".join(f"  - cooldown: {n}" for n in range(1_000))
    text = MINIMAL.replace("[{rps: 10, duration: 1s}]", f"\n{stages}\nconfigurations:\n{configurations}")

    assert "configurations: should have at most 64 entries" in sole(text)


SYNTAX = [
    ("an empty file", "", "spec.yaml:1:1: the file is empty"),
    ("only a comment", "# nothing\n", "spec.yaml:1:1: the file is empty"),
    ("a list", "- a\n", "spec.yaml:1:1: the file should be a mapping of keys to values"),
    ("two documents", "a: 1\n---\nb: 2\n", "spec.yaml:2:1: a file contains one specification"),
    ("a merge key", "a: &a {b: 1}\n<<: *a\n", "spec.yaml:2:1: merge keys ('<<') are not supported"),
    ("a loop", "a: &a [*a]\n", "spec.yaml:1:8: a[0]: the alias '*a' contains itself"),
    ("an unknown alias", "a: *b\n", "spec.yaml:1:4: a: the alias '*b' has no anchor above it"),
    ("a list as a key", "? [a]\n: 1\n", "spec.yaml:1:3: a key must be text"),
    ("an alias as a key", "a: &a b\n*a : 1\n", "spec.yaml:2:1: a key must be text, not an alias"),
    ("an empty key", "a:\n  ? \n  : 1\n", "spec.yaml:2:4: a: a key is empty"),
    (
        "a tab as indentation",
        "a:\n\tb: 1\n",
        "spec.yaml:2:1: a: a tab is not allowed as indentation or separator",
    ),
    ("a missing colon", "a: 1\nb\nc: 2\n", "could not find expected ':'"),
    ("a stray colon", "a: b: c\n", "spec.yaml:1:5: not valid YAML: mapping values are not allowed here"),
    ("an open quote", 'a: "b\n', "found unexpected end of stream"),
    ("an escape beyond Unicode", 'a: "\\UFFFFFFFF"\n', "not valid YAML: invalid escape"),
    ("half a surrogate", 'a: "\\ud800"\n', "spec.yaml:1:4: a: half of a surrogate pair is not valid text"),
    ("a NUL", "a: b\n\0", "spec.yaml:2:1: the character U+0000 is not allowed in YAML"),
    ("an escape sequence", "a: \x1b[31m\n", "spec.yaml:1:4: the character U+001B is not allowed in YAML"),
    ("a line separator", "a: b\u2028c\n", "spec.yaml:1:5: the character U+2028 is not allowed in YAML"),
    ("Latin-1", b"a: 1\nb: \xe9\n", "spec.yaml:2:4: the file is not UTF-8"),
    ("UTF-16", "a: 1".encode("utf-16"), "spec.yaml:1:1: the file is not UTF-8"),
    ("too much", b" " * (MAX_BYTES + 1), "spec.yaml:1:1: the file is larger than 1 MiB"),
]


@pytest.mark.parametrize(("text", "message"), [row[1:] for row in SYNTAX], ids=[row[0] for row in SYNTAX])
def test_invalid_yaml_is_reported_with_its_position(text: str | bytes, message: str) -> None:
    assert message in sole(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (
            "a: {path: /search?q=sea}",
            "put text that contains '?' in quotes; the part of a path after '?' can",
        ),
        ("a: [/search?q=sea]", "put text that contains '?' in quotes; the part of a path after '?' can"),
        ("a: {path: ?q=sea}", "put text that contains '?' in quotes"),
        ("a: {path: /a/${id}}", "put text that contains '{' in quotes"),
        ("a: {$.items[0]: 1}", "put text that contains '[' in quotes"),
        ("a: {$.items[*].id: 1}", "put text that contains ']' in quotes"),
        ("a: {b: c: d}", "put text that contains ':' in quotes"),
        ("a: {b: %c}", "put the text in quotes"),
        ("a: {b: @c}", "put the text in quotes"),
        ("a: {b: c", "a bracket or brace is not closed"),
    ],
)
def test_text_that_needs_quotes_between_braces_has_a_hint(text: str, hint: str) -> None:
    assert hint in sole(text)


def test_a_duplicate_key_names_both_places() -> None:
    assert sole(MINIMAL + "name: other\n") == (
        "spec.yaml:5:1: name: duplicate key, first written at line 2, column 1\n  5 | name: other\n    | ^^^^"
    )


def test_tags_are_refused_and_execute_nothing() -> None:
    assert sole(MINIMAL.replace("tiny", "!!python/name:os.system")) == (
        "spec.yaml:2:7: name: the YAML tag 'tag:yaml.org,2002:python/name:os.system' "
        "is not allowed\n"
        "  2 | name: !!python/name:os.system\n"
        "    |       ^^^^^^^^^^^^^^^^^^^^^^^\n"
        "  put text that begins with '!' in quotes"
    )


def test_a_byte_order_mark_and_windows_lines_are_read() -> None:
    assert read(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode()) == read(MINIMAL)


def test_an_alias_may_share_stages_between_configurations() -> None:
    text = PROCESS.replace("stages:", "stages: &common") + (
        "configurations:\n  - {name: a, stages: *common}\n  - {name: b, load: {connection: new}}\n"
    )

    first, second = read(text).configurations
    assert first.stages == second.stages


def test_keys_keep_their_spelling() -> None:
    app = only(PROCESS.replace('"{port}"]', '"{port}"]\n    env: {on: 1, NO: 2, _3: 3}')).topology.app

    assert app.env == {"on": "1", "NO": "2", "_3": "3"}


@given(st.integers(0, len(DESIGN)))
def test_marks_of_a_cut_file_are_inside_it(end: int) -> None:
    text = DESIGN[:end]
    lines = text.split("\n")
    try:
        node, _ = parse(text)
    except Refused as refused:
        positions = [refused.fault.mark]
    else:
        positions = marks(node) if node else []

    for mark in positions:
        assert 1 <= mark.column <= len(lines[mark.line - 1]) + 1


def test_depth_is_counted_through_aliases() -> None:
    assert "the file is nested deeper than 32 levels, with aliases expanded" in sole(alias_ladder(60))


def test_a_missing_value_is_shown_at_its_key() -> None:
    assert sole(PROCESS.replace("connection: new", "timeout:\n")).startswith("spec.yaml:8:3: load.timeout: ")


def test_a_collection_that_should_be_a_value_is_shown_at_its_key() -> None:
    text = PROCESS.replace("connection: new", "timeout:\n    - 1s")

    assert sole(text).startswith(
        "spec.yaml:8:3: load.timeout: should be a time with a unit, such as 30s, not a list\n"
        "  8 |   timeout:\n"
    )
