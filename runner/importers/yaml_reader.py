"""Reads the YAML of other programs into plain data, within limits.

Unlike specifications, their files may have anchors that are used often and merge keys. Values that are used
several times are one object, so that aliases of aliases cost no memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from runner.experiment.yaml.scalars import WrittenFloat, resolve
from runner.importers.errors import refused

MAX_BYTES: Final = 16 * 1024 * 1024
_MAX_DEPTH: Final = 100
_MAX_NODES: Final = 1_000_000
_MERGE: Final = "<<"
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class _Open:
    """A collection whose end has not been read yet."""

    value: Any
    anchor: str | None
    key: str | None = None


@dataclass(slots=True)
class _Builder:
    """Builds data from the parser's events, without recursion."""

    root: Any = None
    nodes: int = 0
    open: list[_Open] = field(default_factory=list)
    anchors: dict[str, Any] = field(default_factory=dict)

    def take(self, event: yaml.Event) -> None:
        self.nodes += 1
        if self.nodes > _MAX_NODES:
            raise refused(f"it has more than {_MAX_NODES:,} values")
        match event:
            case yaml.AliasEvent():
                if event.anchor not in self.anchors:
                    raise refused("an alias stands before its anchor, or in it")
                self.add(self.anchors[event.anchor])
            case yaml.ScalarEvent():
                self.take_scalar(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self.begin({} if isinstance(event, yaml.MappingStartEvent) else [], event.anchor)
            case yaml.CollectionEndEvent():
                done = self.open.pop()
                self.finish(done.value, done.anchor)

    def take_scalar(self, event: yaml.ScalarEvent) -> None:
        text = str(event.value)
        if self.expects_key():
            self.open[-1].key = text
            return
        value: Any = resolve(text) if event.implicit[0] else text
        self.finish(float(value) if isinstance(value, WrittenFloat) else value, event.anchor)

    def expects_key(self) -> bool:
        return bool(self.open) and isinstance(self.open[-1].value, dict) and self.open[-1].key is None

    def begin(self, value: Any, anchor: str | None) -> None:
        if self.expects_key():
            raise refused("a key is no text")
        if len(self.open) >= _MAX_DEPTH:
            raise refused(f"it is nested deeper than {_MAX_DEPTH} levels")
        self.open.append(_Open(value, anchor))

    def finish(self, value: Any, anchor: str | None) -> None:
        if anchor is not None:
            self.anchors[anchor] = value
        self.add(value)

    def add(self, value: Any) -> None:
        if not self.open:
            self.root = value
            return
        holder = self.open[-1]
        if isinstance(holder.value, list):
            holder.value.append(value)
        elif holder.key is None:
            raise refused("a key is no text")
        elif holder.key == _MERGE:
            self.merge(holder.value, value)
            holder.key = None
        else:
            holder.value[holder.key] = value
            holder.key = None

    def merge(self, into: dict[str, Any], value: Any) -> None:
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                self.nodes += len(one)
                for key, item in one.items():
                    into.setdefault(key, item)


def read_yaml(content: bytes) -> Any:
    """Return the data of the first document.

    Raises:
        UsageError: It is no YAML, or exceeds a limit.
    """
    if len(content) > MAX_BYTES:
        raise refused(f"it is larger than {MAX_BYTES // 1024**2} MiB, the maximum for YAML")
    builder = _Builder()
    try:
        for event in yaml.parse(content.decode(), Loader=_LOADER):
            if isinstance(event, yaml.DocumentEndEvent):
                break
            builder.take(event)
    except UnicodeDecodeError:
        raise refused("it is not UTF-8", "save it as UTF-8") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise refused(f"it is no valid YAML: {' '.join(str(error).split())}") from None
    return builder.root
