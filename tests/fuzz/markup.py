"""Finds text of a run that has power in what was made from it; all hostile texts contain `CANARY`."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

from markdown_it import MarkdownIt

from tests.fuzz.mutators import CANARY

_parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class _Elements(HTMLParser):
    def handle_starttag(self, tag, attrs):
        names = " ".join((tag, *(name for name, _ in attrs)))
        addresses = [value or "" for name, value in attrs if name in {"href", "src", "srcset", "action"}]
        assert CANARY not in names, f"an element of a text of the run: <{names}>"
        assert not any(CANARY in address for address in addresses), (
            f"an address of a text of the run: {addresses}"
        )

    def handle_endtag(self, tag):
        assert CANARY not in tag, f"the end of an element of a text of the run: </{tag}>"


def check_html(text: str) -> None:
    """Raise if a text of the run became an element, an attribute or an address."""
    elements = _Elements()
    elements.feed(text)
    elements.close()


def check_markdown(text: str) -> None:
    """Raise if a text of the run became HTML, a link or a picture."""
    for token in _parser.parse(text):
        for part in (token, *(token.children or ())):
            if part.type.startswith("html"):
                check_html(part.content)
            assert not any(CANARY in str(value) for value in part.attrs.values()), f"markup of a text: {part}"


def check_csv(text: str) -> None:
    """Raise if rows differ in length, or if a text of the run became a formula."""
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len({len(row) for row in rows}) == 1, "rows of different lengths"
    formulas = [cell for row in rows for cell in row if CANARY in cell and cell.startswith(_FORMULA)]
    assert not formulas, f"a text of the run is a formula: {formulas[0]!r}"


def check_junit(text: str) -> None:
    """Raise if it is no XML, or if a text of the run became an element or an attribute."""
    for element in ET.fromstring(text).iter():
        assert CANARY not in " ".join((element.tag, *element.attrib)), f"an element of a text: {element.tag}"
