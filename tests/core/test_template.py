"""Variables in a text, and how their values are encoded where they stand."""

import json
from urllib.parse import parse_qsl, quote, quote_plus, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.template import ENCODERS, Position, Reference, TemplateError, filled, names, parse

VALUES = st.text(st.characters(codec="utf-8"), max_size=20)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("plain", ("plain",)),
        ("", ()),
        ("${a}", (Reference("a"),)),
        ("/x/${id}/${id_2}?y", ("/x/", Reference("id"), "/", Reference("id_2"), "?y")),
        ("${a.b.0 c}", (Reference("a", "b.0 c"),)),
        ("$${a}", ("${", "a}")),
        ("$${${a}", ("${", Reference("a"))),
        ("costs $5, $$, {} and }", ("costs $5, $$, {} and }",)),
    ],
)
def test_a_text_consists_of_literal_pieces_and_references(text, pieces):
    assert parse(text) == pieces


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a ${b", "'${b' is not closed by '}'"),
        ("${", "'${' is not closed by '}'"),
        ("${}", "'${}' does not enclose the name of a variable"),
        ("${a b}", "'${a b}' does not enclose the name of a variable"),
        ("${1a}", "'${1a}' does not enclose the name of a variable"),
        ("${a.}", "'${a.}' does not enclose the name of a variable"),
        ("${a.{b}}", "'${a.{b}' does not enclose the name of a variable"),
    ],
)
def test_a_reference_that_is_not_closed_or_has_no_name_is_refused(text, message):
    with pytest.raises(TemplateError) as caught:
        parse(text)
    assert caught.value.message == message


@given(VALUES)
def test_any_text_is_a_template_or_refused(text):
    try:
        assert set(names(text)) <= {piece.name for piece in parse(text) if isinstance(piece, Reference)}
    except TemplateError:
        assert "${" in text


@pytest.mark.parametrize(
    ("position", "sent"),
    [
        (Position.PATH, "a b?=a%20b%2Fc%3F%26%22%C3%BC"),
        (Position.QUERY, "a%20b%3F%3Da%20b%2Fc%3F%26%22%C3%BC"),
        (Position.HEADER, 'a b?=a b/c?&"ü'),
        (Position.BODY, 'a b?=a b/c?&"ü'),
        (Position.JSON, 'a b?=a b/c?&\\"ü'),
        (Position.FORM, "a+b%3F%3Da+b%2Fc%3F%26%22%C3%BC"),
        (Position.MULTIPART, 'a b?=a b/c?&"ü'),
    ],
)
def test_a_value_is_encoded_by_its_position(position, sent):
    assert filled("a b?=${v}", position, {"v": 'a b/c?&"ü'}) == sent


@given(value=VALUES)
def test_the_receiver_decodes_the_value_that_was_inserted(value):
    values = {"v": value}

    assert unquote(filled("${v}", Position.PATH, values)) == value
    assert "/" not in filled("${v}", Position.PATH, values)
    assert json.loads(f'"{filled("${v}", Position.JSON, values)}"') == value
    form = f"a={filled('${v}', Position.FORM, values)}&b=1"
    assert parse_qsl(form, keep_blank_values=True) == [("a", value), ("b", "1")]
    query = f"a={filled('${v}', Position.QUERY, values)}&b=1"
    assert parse_qsl(query, keep_blank_values=True) == [("a", value), ("b", "1")]


@given(st.one_of(VALUES, st.from_regex(r"[A-Za-z0-9]{0,9}", fullmatch=True)))
def test_encoding_is_that_of_the_standard_library(value):
    assert ENCODERS[Position.PATH](value) == ENCODERS[Position.QUERY](value) == quote(value, safe="")
    assert ENCODERS[Position.FORM](value) == quote_plus(value)
    assert ENCODERS[Position.VALUE](value) == json.dumps(value, ensure_ascii=False)
