"""No text of a run has power in anything that is made from it.

Every string of results, found by walking their types, holds markup, links, mentions, tables and HTML. What is
rendered must have the structure of the same thing with harmless text.
"""

import ast
import csv
import io
import re
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from markdown_it import MarkdownIt

from runner.core.comparison import Comparison, History, ReproductionResults
from runner.core.results import Results
from runner.publish.comment import Draft
from runner.report.charts.render import charts
from runner.report.comparison import brief_comparison, render_comparison
from runner.report.csv_table import render_csv
from runner.report.history import render_history
from runner.report.junit import render_junit
from runner.report.markdown import render_markdown
from runner.report.markdown_text import code, escape, table, unmarked, without_controls
from runner.report.page.render import render_page
from runner.report.reproduction import render_reproduction
from tests.report.made_from_types import Text, made, rewritten
from tests.report.stored_results import stored

ROOT = Path(__file__).parents[2]
NEAREST = ("- x &lt; 1) $y$ http://evil.example", "www.evil.example_x_")
HOSTILE = [
    "<img src=x onerror=alert(1)><b>bold</b></td></details></script><script>alert(1)</script>",
    "[link](http://evil.example) ![image](http://evil.example/x.png) <http://evil.example> [a]: http://b.c",
    "**strong** _emphasis_ `code` ``more`` ~~gone~~ $x$ &lt;b&gt; &#64;all &amp; \\",
    "@everyone @team/x #1 !2 www.evil.example https://evil.example",
    "# heading\n\n# heading\n---\n===\n- item\n1. one\n> quote\n\n```\nfence\n~~~\n\n    code\n\n***",
    "| a | b |\n|---|---|\n| c | d \\| e | `f|g` `h\\|i` |",
    "--> ]]> */ \" ' onload=\"x\" {{ 7 * 7 }} {} {0} {name} %s \x1b[31m\x00\u202e",
    "- item", "+ item", "1. item", "12) item", "---", "=", "> quote", "\t\tcode", "# heading", "````", "<!--",
    "<b", "\\",
]  # fmt: skip
FORMULAS = ["=1+1", "@SUM(A1)", "+1", "-1", "\t=1", "\r=1"]
"""What spreadsheets compute; nothing else gives them power that no text above has."""
EACH = 1
"""Values that are made for each text; more find no more."""
RUNS = ("app-server", "docker-4k", "hop-ladder", "quickstart")
LONG = 20
"""Characters above which a text has several attacks, and is written into real runs too."""


def report(results: Results) -> str:
    """The report with its charts beside it."""
    return render_markdown(results, pictures={chart.name: (chart.alt,) for chart in charts(results)})


MARKDOWN = {
    "report": (Results, report),
    "comparison": (Comparison, render_comparison),
    "brief comparison": (Comparison, brief_comparison),
    "history": (History, render_history),
    "reproduction": (ReproductionResults, render_reproduction),
    "comment": (Results, lambda results: Draft(results).render(10_000_000)),
}
_parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
_CODE = re.compile(r"(?<![\\`])(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_PICTURE = re.compile(r"^<picture>.*</picture>$", re.MULTILINE)
"""Lines of charts; a pattern for single tags would also match one that was cut off inside a code span."""
_LIVE = re.compile(r"(?<!\\)[@#$](?=\w)|(?<!\\)://|www\.|(?<!\\)&(?=[#\w])", re.IGNORECASE)


class Elements(HTMLParser):
    """The elements of HTML with the names of their attributes, and every address."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, ...]] = []
        self.addresses: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, *(name for name, _ in attrs)))
        self.addresses += [str(value) for name, value in attrs if name in {"href", "src", "srcset", "action"}]

    def handle_endtag(self, tag):
        self.found.append((f"/{tag}",))

    def handle_comment(self, data):
        self.found.append(("comment",))


def structure(text: str) -> list[object]:
    """The tokens of Markdown but for plain text, and the elements of the HTML in it."""
    tokens = []
    for token in _parser.parse(text):
        for part in (token, *(token.children or ())):
            if part.type.startswith("html"):
                tokens.append(tuple(Elements(part.content).found))
            elif part.type not in {"text", "text_special", "softbreak"}:
                tokens.append((part.type, part.tag, tuple(part.attrs)))
    return tokens


_PARAGRAPH = [("paragraph_open", "p", ()), ("inline", "", ()), ("paragraph_close", "p", ())]
_SPANS = {
    ("code_inline", "code", ()), ("code",), ("/code",),
    ("strong_open", "strong", ()), ("strong_close", "strong", ()), ("strong",), ("/strong",),
}  # fmt: skip
"""What hostile text may lose, but not gain: what no code span can hold is escaped, what is too long for a
comment is cut as plain text."""


def comparable(tokens: list[object]) -> list[object]:
    """The tokens without spans, and paragraphs in a row as one: the objective may have several."""
    kept: list[object] = []
    for token in tokens:
        kept += [] if token in _SPANS else [token]
        if kept[-6:] == 2 * _PARAGRAPH:
            del kept[-3:]
        elif kept[-4:] == 2 * [("p",), ("/p",)]:
            del kept[-2:]
    return kept


def assert_same(hostile: list[object], usual: list[object]) -> None:
    """Both have the same structure, and no span is added."""
    found, expected = comparable(hostile), comparable(usual)
    pairs = enumerate(zip(found, expected, strict=False))
    at = next((at for at, (one, other) in pairs if one != other), None)
    assert at is None, (found[max(at - 4, 0) : at + 4], expected[max(at - 4, 0) : at + 4])
    assert len(found) == len(expected)
    for span in _SPANS:
        assert hostile.count(span) <= usual.count(span)


def live(text: str) -> int:
    """How many mentions, formulas, entities and bare addresses stand outside code and attributes."""
    return len(_LIVE.findall(_CODE.sub("", _PICTURE.sub("", text))))


def harmless(text: str) -> Text:
    """Harmless text that equals its own title case if the text does: configurations may be called by that.

    Of a short text it is short as well: a comment has room for more of these.
    """
    titled, plain = ("Ok", "ok") if len(text) < len("harmless") else ("Harmless", "harmless-text")
    return _word(titled if text == text.replace("-", " ").title() else plain)


@cache
def _word(text: str) -> Text:
    return Text(text, "word")


@cache
def with_text(name: str, text: Text) -> Results:
    return rewritten(stored(name), text)


_expected: dict[tuple[object, int], tuple[object, object]] = {}


def expected_of(make: Callable[[object], object], usual: object) -> object:
    """What is made of a harmless value, which many texts share; it is kept, and so is its id."""
    key = make, id(usual)
    if key not in _expected:
        _expected[key] = usual, make(usual)
    return _expected[key][1]


@cache
def pairs(cls: type, text: str) -> list[tuple[object, object]]:
    """Values with the text, each beside the same value with harmless text; other texts get other values."""
    at = (HOSTILE + FORMULAS).index(text)
    seeds = range(at * EACH, (at + 1) * EACH)
    run = RUNS[at % len(RUNS)]
    runs = (run,) if cls is Results and len(text) > LONG else ()
    hostile, usual = Text(text, *NEAREST), harmless(text)
    return [
        *((made(cls, hostile, seed), made(cls, usual, seed)) for seed in seeds),
        *((rewritten(stored(run), hostile), with_text(run, usual)) for run in runs),
    ]


def _facts_of(render: Callable[[object], str]) -> Callable[[object], object]:
    def facts(value: object) -> object:
        text = render(value)
        return structure(text), live(text)

    return facts


FACTS = {name: _facts_of(render) for name, (_, render) in MARKDOWN.items()}
"""Name to a function that renders a value, and returns what is compared."""


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("name", MARKDOWN)
def test_markdown_keeps_its_structure(name, text):
    cls, render = MARKDOWN[name]
    for value, usual in pairs(cls, text):
        hostile = render(value)
        expected, most_live = expected_of(FACTS[name], usual)

        assert_same(structure(hostile), expected)
        if name != "comment":  # there an invisible space stops what a backslash cannot
            assert live(hostile) <= most_live


# Of the page, Markdown is the part in which short texts have power, and the test above renders that.
def page_elements(results: Results) -> Elements:
    return Elements(render_page(results, bundle="var vegaEmbed;"))


@pytest.mark.parametrize("text", [text for text in HOSTILE if len(text) > LONG or "<" in text])
def test_the_page_has_no_new_element_and_no_new_address(text):
    for value, usual in pairs(Results, text):
        hostile, expected = page_elements(value), expected_of(page_elements, usual)

        assert_same(hostile.found, expected.found)
        assert hostile.addresses == expected.addresses


@pytest.mark.parametrize("text", HOSTILE + FORMULAS)
def test_no_cell_of_the_csv_table_is_a_formula(text):
    for value, usual in pairs(Results, text):
        rows, expected = (
            list(csv.reader(io.StringIO(render_csv(results), newline=""))) for results in (value, usual)
        )

        assert [len(row) for row in rows] == [len(row) for row in expected]
        for row, words in zip(rows, expected, strict=True):
            cells = [
                cell
                for cell, word in zip(row, words, strict=True)
                if word.endswith(harmless(text).candidates)
            ]
            assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)


@pytest.mark.parametrize("text", HOSTILE)
def test_junit_parses_and_has_no_new_element(text):
    for both in pairs(Results, text):
        hostile, expected = (
            [
                (element.tag, *sorted(element.attrib))
                for element in ET.fromstring(render_junit(results)).iter()
            ]
            for results in both
        )

        assert hostile == expected


@pytest.mark.parametrize("text", HOSTILE)
def test_escaped_text_reads_as_it_was(text):
    flat = without_controls(" ".join(text.split()))

    (inline,) = _parser.parse(f"a {escape(text)}")[1:2]
    assert "".join(part.content for part in inline.children) == f"a {flat}"
    assert unmarked(escape(text)) == flat


@pytest.mark.parametrize("text", [text for text in HOSTILE if text.strip()])
def test_a_cell_shows_its_text_and_no_column_is_added(text):
    flat = without_controls(" ".join(text.split()))
    rendered = table(["Name", "Code"], [[text, code(text)]], figures=False)

    cells = [token for token in _parser.parse(rendered) if token.type == "inline"]
    assert ["".join(part.content for part in cell.children) for cell in cells] == ["Name", "Code", flat, flat]


PACKAGES = ("report", "publish", "archive")
SOURCES = [path for package in PACKAGES for path in ROOT.glob(f"runner/{package}/**/*.py")]
TRUSTED = {
    "report/markdown.py": {"_picture"},
    "publish/comment.py": {"_left_out", "_fold", "_footer"},
    "publish/sanitize.py": {"sanitized"},
    "archive/readme.py": {"readme"},
}
"""Functions that declare text to be markup, besides the module that is about nothing else."""


def place(path: Path) -> str:
    return str(path.relative_to(ROOT / "runner"))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def called(tree: ast.AST, *names: str) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
    ]


def is_literal(node: ast.expr) -> bool:
    """Whether it is text that stands in the source, in place or as a constant of the module."""
    if isinstance(node, ast.IfExp):
        return is_literal(node.body) and is_literal(node.orelse)
    if isinstance(node, ast.Name):
        return re.fullmatch(r"_[A-Z_]+", node.id) is not None
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_every_template_is_a_literal():
    calls = [(place(path), call) for path in SOURCES for call in called(parsed(path), "markdown", "join")]

    assert [(path, ast.unparse(call)) for path, call in calls if not is_literal(call.args[0])] == []


def test_text_is_declared_markup_in_few_places_only():
    declared = [(path, call) for path in SOURCES for call in declared_elsewhere(path)]

    assert {place(path): call for path, call in declared if path.name != "markdown_text.py"} == {}


def declared_elsewhere(path: Path) -> list[str]:
    """The calls that declare text as markup, in functions that may not."""
    tree = parsed(path)
    trusted = TRUSTED.get(place(path), set())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    allowed = {
        id(call)
        for function in functions
        if function.name in trusted
        for call in called(function, "Markdown")
    }

    return [ast.unparse(call) for call in called(tree, "Markdown") if id(call) not in allowed]
