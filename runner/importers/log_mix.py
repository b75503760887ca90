"""Requests of a log that differ only in identifiers become one request with variables.

The values of all variables of a request come from the same line, so that ``/users/7/orders/9`` is never
requested with an order of somebody else. Few values stand in the specification, with their measured weights;
many become rows of a file beside it, each as often as it was requested.
"""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from runner.core.template import Reference
from runner.importers.draft import RequestDraft, Text, joined
from runner.importers.fitting import problem_of
from runner.importers.names import Names, is_id, request_name, singular, variable_name
from runner.importers.notes import Notes
from runner.importers.secrets import Secrets, is_secret

MAX_GROUPS: Final = 60
MAX_INLINE: Final = 20
"""How many values of a variable stand in the specification."""
_MAX_WEIGHT: Final = 1_000_000
MAX_ROWS: Final = 10_000
_MAX_SIBLINGS: Final = 20
"""More names than these in one folder are values of a variable too, such as titles of articles."""
_MAX_ROOTS: Final = 50
_MAX_SEGMENTS: Final = 30

Hit: TypeAlias = tuple[str, str, tuple[tuple[str, str], ...], int, int]
"""Method, path, pairs of the query, status, and how often."""
Template: TypeAlias = tuple[str | None, ...]
"""The segments of a path; None for a variable."""


@dataclass(slots=True)
class Group:
    """Requests with the same template.

    Attributes:
        template: Of the path.
        keys: Names in the query, in order.
        rows: Values of the variable segments and of the query, to how often they occur.
        statuses: Of the responses, to how often they occur.
    """

    method: str
    template: Template
    keys: tuple[str, ...]
    rows: Counter[tuple[str, ...]] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """How often it was requested."""
        return self.rows.total()

    @property
    def label(self) -> str:
        """Method and path, with stars for variables."""
        return f"{self.method} /{'/'.join('*' if part is None else part for part in self.template)}"


def grouped(hits: Iterable[Hit]) -> Iterator[Group]:
    """Yield the groups of requests, in order of their first one."""
    known = [
        (method, path, tuple(sorted(pairs)), status, times) for method, path, pairs, status, times in hits
    ]
    templates = _templates({path for _, path, _, _, _ in known})
    groups: dict[Any, Group] = {}
    for method, path, pairs, status, times in known:
        template, values = templates[path], []
        for part, segment in zip(template, path.split("/")[1:], strict=True):
            if part is None:
                values.append(unquote(segment))
        keys = tuple(name for name, _ in pairs)
        group = groups.setdefault((method, template, keys), Group(method, template, keys))
        group.rows[(*values, *(value for _, value in pairs))] += times
        group.statuses[200 if status in {206, 304} else status] += times
    yield from groups.values()


def _templates(paths: Iterable[str]) -> dict[str, Template]:
    """Return the template of each path: identifiers, and names in folders with many, are variable."""
    parts = {path: tuple(path.split("/")[1:]) for path in paths}
    templates: dict[str, Template] = dict.fromkeys(parts, ())
    for level in range(_MAX_SEGMENTS):
        folders: dict[Template, list[str]] = defaultdict(list)
        for path, segments in parts.items():
            if len(segments) > level:
                folders[templates[path]].append(path)
        for folder, inside in folders.items():
            names = {parts[path][level] for path in inside if not is_id(parts[path][level])}
            many = len(names) > (_MAX_SIBLINGS if folder else _MAX_ROOTS)
            for path in inside:
                segment = parts[path][level]
                variable = segment and "?" not in segment and (many or is_id(segment))
                templates[path] = (*folder, None if variable else segment)
    for path, segments in parts.items():
        templates[path] += segments[_MAX_SEGMENTS:]
    return templates


class Mix:
    """Makes requests of groups.

    Attributes:
        files: Name of each file of rows to its content.
    """

    def __init__(self, notes: Notes, changes: Notes) -> None:
        self.files: dict[str, str] = {}
        self._notes, self._changes = notes, changes
        self._names, self._variable_names = Names(), Names("_")
        self._secrets = Secrets(self._variable_names)
        self._variables: dict[str, dict[str, Any]] = {}

    @property
    def variables(self) -> dict[str, dict[str, Any]]:
        """Name to definition, as in a specification."""
        return {**self._variables, **self._secrets.variables}

    def requests(self, groups: Sequence[Group]) -> tuple[RequestDraft, ...]:
        """Return the most frequent requests, with their shares in percent as weights."""
        ranked = sorted(groups, key=lambda group: -group.count)
        total = sum(group.count for group in groups)
        for group in ranked[MAX_GROUPS:]:
            self._notes.add(
                f"less frequent than the {MAX_GROUPS} that were taken over", group.label, group.count
            )
        requests = []
        for group in ranked[:MAX_GROUPS]:
            request = self._request(group, max(round(100 * group.count / total, 2), 0.01))
            if problem := problem_of(request):
                self._notes.add(f"no request of a specification ({problem})", group.label, group.count)
            else:
                requests.append(request)
        return tuple(requests)

    def _request(self, group: Group, weight: float) -> RequestDraft:
        segments = ["0" if part is None else part for part in group.template]
        name = self._names.unique(request_name(group.method, "/" + "/".join(segments)))
        texts = self._texts(group, name)
        variable = iter(texts)
        pieces: list[Any] = []
        for part in group.template:
            pieces += ["/", *(_pieces(next(variable)) if part is None else [part])]
        return RequestDraft(
            name=name,
            method=group.method,
            path=joined(*pieces),
            query=tuple(zip(group.keys, variable, strict=True)),
            statuses=tuple(sorted(status for status, _ in group.statuses.most_common(5))),
            weight=weight,
        )

    def _texts(self, group: Group, name: str) -> list[Text]:
        """Return what stands in place of each value of the rows: a literal, a secret or a variable."""
        columns = _columns(group)
        texts: list[Text] = []
        varying: list[int] = []
        for index, column in enumerate(columns):
            values = {row[index] for row in group.rows}
            first = next(iter(values))
            if is_secret(column, first) and index >= len(columns) - len(group.keys):
                texts.append(self._secrets.replaced(column, first))
            elif len(values) == 1:
                texts.append(first)
            else:
                varying.append(index)
                texts.append("")
        rows = Counter[tuple[str, ...]]()
        for row, times in group.rows.items():
            rows[tuple(row[index] for index in varying)] += times
        for index, reference in zip(varying, self._references(rows, columns, varying, name), strict=True):
            texts[index] = joined(reference)
        return texts

    def _references(
        self, rows: Counter[tuple[str, ...]], columns: Sequence[str], varying: Sequence[int], name: str
    ) -> list[Reference]:
        """Return a reference for each varying column, to a variable with the rows."""
        if not varying:
            return []
        if len(varying) == 1 and len(rows) <= MAX_INLINE and all(row[0] not in {"", "<<"} for row in rows):
            variable = self._variable_names.unique(columns[varying[0]])
            self._variables[variable] = {"choice": _weights(rows)}
            return [Reference(variable)]
        variable = self._variable_names.unique(variable_name(name))
        file = f"{name}.csv"
        names = [columns[index] for index in varying]
        self.files[file] = _csv(names, rows)
        self._variables[variable] = {"csv": file, "order": "random"}
        self._changes.add("values are rows of a file beside the specification", name)
        return [Reference(variable, column) for column in names]


def _weights(rows: Counter[tuple[str, ...]]) -> dict[str, int]:
    """Return value to weight, the most frequent first."""
    scale = min(1.0, _MAX_WEIGHT / max(rows.values()))
    return {row[0]: max(round(times * scale), 1) for row, times in rows.most_common()}


def _pieces(text: Text) -> list[Any]:
    return [text] if isinstance(text, str) else list(text)


def _columns(group: Group) -> list[str]:
    """Return a name for each value of a row, unique among them."""
    names, columns, before = Names("_"), [], ""
    for part in group.template:
        if part is None:
            columns.append(names.unique(variable_name(f"{singular(before)}_id" if before else "id")))
        else:
            before = unquote(part)
    return [*columns, *(names.unique(variable_name(key)) for key in group.keys)]


def _csv(columns: Sequence[str], rows: Counter[tuple[str, ...]]) -> str:
    """Return rows as CSV, each as often as its share demands; of too many, at regular distances (sampled)."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    scale = min(1.0, MAX_ROWS / rows.total())
    seen = 0
    for row, times in rows.most_common():
        copies = int((seen + times) * scale) - int(seen * scale)
        writer.writerows([row] * copies)
        seen += times
    return file.getvalue()
