"""Parses untrusted text into a tree with marks: a subset of YAML, within limits.

Processes the parser's events with its own stack, so that no nesting, alias or repetition in the
input can cause a crash or a long wait. PyYAML's composer would recurse, silently keep the last of
two equal keys, and expand ``<<`` without a limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from runner.experiment.problems import Fault, Refused, lines_of
from runner.experiment.suggestions import display
from runner.experiment.yaml.quick_start import yaml
from runner.experiment.yaml.scalars import resolve
from runner.experiment.yaml.tree import Entry, ListNode, MapNode, Mark, Node, Scalar, join

MAX_DEPTH: Final = 32
MAX_NODES: Final = 5_000

_FIRST: Final = Mark(1, 1)
_SYNTAX_HINTS: Final = {
    "mapping values are not allowed here": "check the indentation, or put text that contains ': ' in quotes",
    "could not find expected ':'": "write 'key: value', and check the indentation",
    "found unexpected end of stream": "a quote or bracket is not closed",
    "found character '%' that cannot start any token": "put the text in quotes",
    "found character '@' that cannot start any token": "put the text in quotes",
    "found character '`' that cannot start any token": "put the text in quotes",
}
_IN_BRACES: Final = frozenset("?:[]{}")
"""What ends text without quotes between braces or brackets, or may not be in it."""


def parse(
    text: str, *, path: str = "", override: str | None = None, indent: int = 0
) -> tuple[Node | None, list[Fault]]:
    """Return the tree, None if there is no document, and the problems that did not stop the parsing.

    Args:
        text: One YAML document.
        path: The path of its root.
        override: The ``--set`` that ends with `text`, None for a file.
        indent: Number of characters in `override` before `text`.

    Raises:
        Refused: The text is not YAML, or exceeds a limit.
    """
    return _Builder(text, path, override, indent).build()


@dataclass(slots=True)
class _Open:
    """A collection whose end has not been parsed yet."""

    mark: Mark
    path: str
    anchor: str | None
    is_map: bool
    first_node: int
    height: int = 1
    entries: dict[str, Entry] = field(default_factory=dict)
    items: list[Node] = field(default_factory=list)
    key: tuple[str, Mark] | None = None

    def child_path(self) -> str:
        if not self.is_map:
            return join(self.path, len(self.items))
        return join(self.path, self.key[0]) if self.key else self.path

    def close(self) -> Node:
        if self.is_map:
            return MapNode(self.mark, self.path, self.entries)
        return ListNode(self.mark, self.path, tuple(self.items))


class _Anchored(NamedTuple):
    node: Node
    size: int
    height: int


class _Builder:
    """Builds the tree from the parser's events."""

    def __init__(self, text: str, path: str, override: str | None, indent: int) -> None:
        self.text = text
        self.lines = lines_of(text)
        self.path = path
        self.override = override
        self.indent = indent
        self.root: Node | None = None
        self.documents = 0
        self.nodes = 0
        self.open: list[_Open] = []
        self.anchors: dict[str, _Anchored] = {}
        self.faults: list[Fault] = []

    def build(self) -> tuple[Node | None, list[Fault]]:
        for event in self.events():
            self.take(event)
        return self.root, self.faults

    def events(self) -> Iterator[Any]:
        loader: Any = yaml.SafeLoader(self.text)  # Any: its stubs are incomplete
        try:
            while loader.check_event():
                yield loader.get_event()
        except yaml.MarkedYAMLError as error:
            raise self.syntax_fault(error) from None
        except (ValueError, OverflowError, yaml.YAMLError):
            # PyYAML's chr() and int() fail on escapes and version numbers out of range.
            mark = self.place(loader.line, loader.column)
            raise self.refuse(mark, "not valid YAML: invalid escape") from None
        finally:
            loader.dispose()

    def syntax_fault(self, error: yaml.MarkedYAMLError) -> Refused:
        at = error.problem_mark or error.context_mark
        mark = self.place(at.line, at.column) if at else _FIRST
        problem = error.problem or "it cannot be parsed"
        if self.lines[mark.line - 1][mark.column - 1 - self.indent :].startswith("\t"):
            return self.refuse(mark, "a tab is not allowed as indentation or separator", "use spaces")
        context = f"{error.context}, " if error.context else ""
        return self.refuse(mark, f"not valid YAML: {context}{problem}", _hint(problem))

    def place(self, line: int, column: int, width: int = 1) -> Mark:
        """Return a mark for PyYAML's line and column, limited to the text."""
        if self.override is not None:
            return Mark(1, min(self.indent + column, len(self.override)) + 1, width, self.override)
        line = min(line, len(self.lines) - 1)
        return Mark(line + 1, min(column, len(self.lines[line])) + 1, width)

    def refuse(self, mark: Mark, message: str, hint: str = "") -> Refused:
        path = self.open[-1].child_path() if self.open else self.path
        return Refused(mark, path, message, hint)

    def mark_of(self, event: Any) -> Mark:
        start, end = event.start_mark, event.end_mark
        one_line = end.line == start.line
        last = end.column if one_line else len(self.lines[min(start.line, len(self.lines) - 1)])
        return self.place(start.line, start.column, max(last - start.column, 1))

    def take(self, event: Any) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    mark = self.mark_of(event)
                    raise Refused(mark, "", "a file contains one specification, and a second one starts here")
            case yaml.AliasEvent():
                self.take_alias(event)
            case yaml.ScalarEvent():
                self.take_scalar(event)
            case yaml.CollectionStartEvent():
                self.begin(event)
            case yaml.CollectionEndEvent():
                self.end()

    def take_scalar(self, event: Any) -> None:
        mark = self.mark_of(event)
        if self.expects_key():
            self.check_tag(event, mark)
            self.take_key(event.value, mark)
            return
        self.enter(event, mark)
        quoted = event.style is not None
        if not quoted and not event.value and self.open and self.open[-1].key:
            mark = self.open[-1].key[1]
        path = self.open[-1].child_path() if self.open else self.path
        node = Scalar(mark, path, self.clean(event.value, mark) if quoted else resolve(event.value))
        self.add(node, event.anchor, size=1, height=1)

    def expects_key(self) -> bool:
        return bool(self.open) and self.open[-1].is_map and self.open[-1].key is None

    def take_key(self, text: str, mark: Mark) -> None:
        holder = self.open[-1]
        if text == "<<":
            hint = "write the keys out, or use 'configurations' with shared keys"
            raise self.refuse(mark, "merge keys ('<<') are not supported", hint)
        if not text:
            raise self.refuse(mark, "a key is empty")
        text = self.clean(text, mark)
        if text in holder.entries:
            first = holder.entries[text].key
            message = f"duplicate key, first written at line {first.line}, column {first.column}"
            self.faults.append(Fault(mark, join(holder.path, text), message))
        holder.key = (text, mark)

    def clean(self, text: str, mark: Mark) -> str:
        """Return text with surrogate pairs joined; PyYAML keeps those of JSON escapes apart."""
        if text.isascii():
            return text
        try:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            raise self.refuse(mark, "half of a surrogate pair is not valid text") from None

    def begin(self, event: Any) -> None:
        mark = self.mark_of(event)
        if self.expects_key():
            raise self.refuse(mark, "a key must be text", "put text that begins with { or [ in quotes")
        self.enter(event, mark)
        path = self.open[-1].child_path() if self.open else self.path
        is_map = isinstance(event, yaml.MappingStartEvent)
        self.open.append(_Open(mark, path, event.anchor, is_map, first_node=self.nodes))

    def end(self) -> None:
        done = self.open.pop()
        self.add(done.close(), done.anchor, size=self.nodes - done.first_node + 1, height=done.height)

    def take_alias(self, event: Any) -> None:
        mark = self.mark_of(event)
        if self.expects_key():
            raise self.refuse(mark, "a key must be text, not an alias")
        if any(holder.anchor == event.anchor for holder in self.open):
            raise self.refuse(mark, f"the alias {display('*' + event.anchor)} contains itself")
        anchored = self.anchors.get(event.anchor)
        if anchored is None:
            raise self.refuse(mark, f"the alias {display('*' + event.anchor)} has no anchor above it")
        self.limit(mark, nodes=anchored.size, depth=len(self.open) + anchored.height)
        self.add(anchored.node, None, size=anchored.size, height=anchored.height)

    def enter(self, event: Any, mark: Mark) -> None:
        self.check_tag(event, mark)
        self.limit(mark, nodes=1, depth=len(self.open) + 1)

    def check_tag(self, event: Any, mark: Mark) -> None:
        if event.tag is not None:
            hint = "put text that begins with '!' in quotes"
            message = f"the YAML tag {display(event.tag)} is not allowed"
            self.faults.append(self.refuse(mark, message, hint).fault)

    def limit(self, mark: Mark, *, nodes: int, depth: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise self.refuse(mark, f"the file has more than {MAX_NODES:,} values, with aliases expanded")
        if depth > MAX_DEPTH:
            message = f"the file is nested deeper than {MAX_DEPTH} levels, with aliases expanded"
            raise self.refuse(mark, message)

    def add(self, node: Node, anchor: str | None, *, size: int, height: int) -> None:
        if anchor is not None:
            self.anchors[anchor] = _Anchored(node, size, height)
        if not self.open:
            self.root = node
            return
        holder = self.open[-1]
        holder.height = max(holder.height, height + 1)
        if not holder.is_map:
            holder.items.append(node)
        elif holder.key is not None:
            text, mark = holder.key
            holder.entries.setdefault(text, Entry(mark, node))
            holder.key = None


def _hint(problem: str) -> str:
    """Return what to do about a problem that PyYAML names; empty if that is not known."""
    if problem.endswith("'<stream end>'"):
        return "a bracket or brace is not closed"
    found = problem[-2:-1]
    if problem.startswith("expected") and found in _IN_BRACES:
        text = f"text that contains '{found}'"
        quoted = f"between braces or brackets, put {text} in quotes"
        return f"{quoted}; the part of a path after '?' can be in query instead" if found == "?" else quoted
    return _SYNTAX_HINTS.get(problem, "")
