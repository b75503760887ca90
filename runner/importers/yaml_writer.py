"""Writes data as the YAML that specifications are read as.

The reader takes unquoted words as YAML 1.2 does, the emitter as YAML 1.1: a text is quoted where either of
them would read something else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import yaml

from runner.experiment.yaml.scalars import resolve

_ON_ONE_LINE: Final = 88
"""How long a mapping or list may be, in characters, to stand between braces or brackets."""
_NO_FOLDING: Final = 1_000_000
_STR: Final = "tag:yaml.org,2002:str"


class _Block(dict[str, Any]):
    """A mapping that never stands between braces."""


class _Writer(yaml.SafeDumper):
    """Writes short collections on one line, and never an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        del indentless  # lists are indented, as in all specifications here
        super().increase_indent(flow, False)


def _text(writer: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    lines = "\n" in text and all(part.isprintable() and part == part.rstrip() for part in text.split("\n"))
    if lines and not text[0].isspace():
        return writer.represent_scalar(_STR, text, style="|")
    plain = text.isprintable() and isinstance(resolve(text), str) and text.isascii()
    return writer.represent_scalar(_STR, text, style=None if plain else '"')


def _mapping(writer: yaml.SafeDumper, content: dict[str, Any]) -> yaml.MappingNode:
    return writer.represent_mapping("tag:yaml.org,2002:map", content.items(), flow_style=_is_short(content))


def _block(writer: yaml.SafeDumper, content: _Block) -> yaml.MappingNode:
    return writer.represent_mapping("tag:yaml.org,2002:map", content.items(), flow_style=False)


def _sequence(writer: yaml.SafeDumper, content: list[Any]) -> yaml.SequenceNode:
    return writer.represent_sequence("tag:yaml.org,2002:seq", content, flow_style=_is_short(content))


_Writer.add_representer(str, _text)
_Writer.add_representer(dict, _mapping)
_Writer.add_representer(_Block, _block)
_Writer.add_representer(list, _sequence)


def _is_short(content: Any) -> bool:
    """Return whether a collection fits on a line, with at most one collection in another."""
    return _height(content) <= 2 and len(str(content)) <= _ON_ONE_LINE and "\n" not in str(content)


def _height(content: Any) -> int:
    if not isinstance(content, dict | list):
        return 0
    values = content.values() if isinstance(content, dict) else content
    return 1 + max(map(_height, values), default=0)


def to_yaml(content: Mapping[str, Any]) -> str:
    """Return a mapping of JSON values as YAML, one line or more for each of its keys and of theirs."""
    blocks = {key: _Block(value) if isinstance(value, dict) else value for key, value in content.items()}
    text: str = yaml.dump(
        _Block(blocks), Dumper=_Writer, sort_keys=False, allow_unicode=True, width=_NO_FOLDING
    )
    return text if text.replace("\n", "").isprintable() else "".join(map(_escaped, text))


def _escaped(sign: str) -> str:
    """Return a character as it is written; one that cannot be seen always stands in double quotes."""
    if sign == "\n" or sign.isprintable():
        return sign
    return f"\\U{ord(sign):08X}" if ord(sign) > 0xFFFF else f"\\u{ord(sign):04X}"
