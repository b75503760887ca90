"""An experiment written out: every default, override and overlay in its place, units included.

What an archive shows to whoever asks what exactly was run; it reads back as the same experiment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import yaml

from runner.experiment.base_model import Part
from runner.experiment.model import Experiment
from runner.experiment.quantities import Size, Time, format_size, format_time
from runner.experiment.thresholds import Threshold
from runner.experiment.yaml.scalars import resolve

_UNITS: Final[Mapping[type, Callable[[Any], str]]] = {Time: format_time, Size: format_size}


def resolved_text(experiment: Experiment) -> str:
    """A specification without overlays and combinations; keys that are not set are left out."""
    content = _plain(experiment)
    content.pop("matrix", None)  # its combinations are configurations by now
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    """Quotes every text that a specification would take for something else."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  (specifications have no anchors)
        """True: equal parts are written out each time."""
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = None if isinstance(resolve(value), str) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def _plain(value: Any) -> Any:
    """The value as a file would hold it."""
    match value:
        case Threshold():
            return value.expr
        case Part():
            return {name: _field(value, name) for name in type(value).model_fields if _is_set(value, name)}
        case Mapping():
            return {str(key): _plain(each) for key, each in value.items()}
        case tuple() | list():
            return [_plain(each) for each in value]
        case float():
            return int(value) if value.is_integer() else float(value)
        case _:
            return value


def _field(part: Part, name: str) -> Any:
    value = getattr(part, name)
    written = next((_UNITS[type(it)] for it in _marks(type(part), name) if type(it) in _UNITS), None)
    return written(value) if written and value else _plain(value)  # 0 needs no unit


def _marks(kind: type[Part], name: str) -> list[Any]:
    """What a field's annotation carries, also within ``Annotated[...] | None``."""
    field = kind.model_fields[name]
    inner = [mark for arm in getattr(field.annotation, "__args__", ()) for mark in _metadata(arm)]
    return [*field.metadata, *inner]


def _metadata(annotation: Any) -> tuple[Any, ...]:
    return tuple(getattr(annotation, "__metadata__", ()))


def _is_set(part: Part, name: str) -> bool:
    return getattr(part, name) is not None
