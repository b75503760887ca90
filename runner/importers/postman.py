"""A Postman collection as a scenario: its requests in the order of its folders, with its variables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from runner.core.jsonpath import steps_of
from runner.core.template import names
from runner.experiment.suggestions import slug
from runner.importers.draft import METHODS, Draft, Extract, RequestDraft, ScenarioDraft
from runner.importers.errors import refused
from runner.importers.fitting import problem_of
from runner.importers.names import MAX_NAME, Names, request_name
from runner.importers.notes import Notes
from runner.importers.postman_auth import Credentials, auth_headers
from runner.importers.postman_model import Collection, Event, Item, entries_of, read_collection, text_of
from runner.importers.postman_request import Sent, sent_of
from runner.importers.postman_scripts import Script, read_script
from runner.importers.postman_texts import Texts
from runner.importers.request_text import as_data, texts_of

_MAX_DEPTH: Final = 20
_MAX_ITEMS: Final = 2_000
_FOLLOWED: Final = 10
"""How many redirects Postman follows unless a request says otherwise."""
_NO_SCRIPT: Final = Script({}, (), other=False)


@dataclass(frozen=True, slots=True)
class _Placed:
    """A request of a collection.

    Attributes:
        folders: Their names, from the outermost.
        auth: The nearest one, its own or that of a folder.
        variables: Those of its folders.
        events: The scripts of its folders.
    """

    item: Item
    folders: tuple[str, ...] = ()
    auth: Any = None
    variables: Mapping[str, str] = frozenset()  # type: ignore[assignment]
    events: tuple[Event, ...] = ()


def draft_of_collection(content: bytes) -> Draft:
    """Return what a collection requests.

    Raises:
        UsageError: It is no collection, or contains no request to an http or https URL.
    """
    collection = read_collection(content)
    notes, changes = Notes(), Notes()
    work = _Import(collection, notes, changes)
    steps = tuple(work.steps())
    if not steps:
        raise refused("it contains no request that can be sent", "; ".join(notes.lines())[:300])
    name = text_of(collection.info.name)[:100]
    return Draft(
        source="a Postman collection",
        name=name if slug(name) else "",
        url=work.origin,
        scenarios=(ScenarioDraft("collection", steps),),
        variables=work.texts.variables,
        left_out=notes.lines(),
        changed=changes.lines(),
    )


class _Import:
    """Makes steps of the requests of a collection.

    Attributes:
        origin: Of the first request; empty if its URL begins with a variable without a value.
        texts: Replace the variables.
    """

    def __init__(self, collection: Collection, notes: Notes, changes: Notes) -> None:
        self.origin = ""
        self.texts = Texts(entries_of(collection.variable), notes, changes)
        self._collection, self._notes, self._changes = collection, notes, changes
        self._names = Names()

    def steps(self) -> Iterator[RequestDraft]:
        """Yield the requests that can be sent, in order."""
        top = self._collection
        placed = list(_placed(top.item, _Placed(Item(), auth=top.auth, events=tuple(top.event or ())), 0))
        if len(placed) > _MAX_ITEMS:
            raise refused(f"it has more than {_MAX_ITEMS:,} requests", "export a part of it")
        pending = [self._step(one) for one in placed]
        used = self._sent_names(step for step in pending if step)
        for step in pending:
            if step is not None:
                yield replace(step, extract={name: one for name, one in step.extract.items() if name in used})

    def _step(self, placed: _Placed) -> RequestDraft | None:
        """Return a step; None if its request cannot be sent."""
        label = " / ".join((*placed.folders, placed.item.name))
        self.texts.define(placed.variables)
        sent = sent_of(placed.item.request, self.texts, lambda reason: self._changes.add(reason, label))
        if reason := self._reason(sent):
            self._notes.add(reason, label)
            return None
        assert sent is not None
        script = self._script(placed, label)
        headers = auth_headers(sent.auth or placed.auth, self.texts, lambda one: self._notes.add(one, label))
        request = self.texts.without_secrets(self._request(sent, headers, script, placed))
        if problem := problem_of(request):
            self._notes.add(f"no request of a specification ({problem})", label)
            return None
        return replace(request, extract=self._extracts(script.extract))

    def _request(self, sent: Sent, credentials: Credentials, script: Script, placed: _Placed) -> RequestDraft:
        known = {name.lower() for name, _ in sent.headers}
        added = ((name, one) for name, one in credentials.headers if name.lower() not in known)
        name = slug(placed.item.name)[:MAX_NAME].strip("-") or request_name(sent.method, "/")
        return RequestDraft(
            name=self._names.unique(name),
            method=sent.method,
            path=sent.path,
            query=(*sent.query, *credentials.query),
            headers=(*sent.headers, *added),
            body=sent.body,
            statuses=script.statuses or _saved_statuses(placed.item) or ("2xx",),
            follow_redirects=_redirects(placed.item),
        )

    def _reason(self, sent: Sent | None) -> str:
        """Return why a request cannot be sent, empty if it can; sets the origin."""
        if sent is None:
            return "without a URL that can be read"
        if sent.method not in METHODS:
            return "methods that a specification does not have"
        if sent.origin and not self.origin:
            self.origin = sent.origin
        if sent.origin and sent.origin != self.origin:
            return f"requests to other hosts than {self.origin}"
        return ""

    def _script(self, placed: _Placed, label: str) -> Script:
        """Return what the scripts say: those of folders about the status, its own about values too."""
        own = tuple(placed.item.event or ())
        scripts = [read_script(one.code) for one in (*placed.events, *own) if one.listen == "test"]
        before = any(one.listen == "prerequest" and one.code.strip() for one in (*placed.events, *own))
        if before or any(one.other for one in scripts):
            self._notes.add("scripts, which are programs", label)
        extract: dict[str, Extract] = {}
        for one in own:
            extract |= read_script(one.code).extract if one.listen == "test" else {}
        statuses = next((one.statuses for one in reversed(scripts) if one.statuses), ())
        return Script(extract, statuses, other=False)

    def _extracts(self, found: Mapping[str, Extract]) -> dict[str, Extract]:
        return {self.texts.extract(name): source for name, source in found.items() if _is_valid(source)}

    @staticmethod
    def _sent_names(steps: Iterable[RequestDraft]) -> set[str]:
        return {
            name
            for step in steps
            for text in texts_of(as_data(step, in_mix=False)["request"])
            for name in names(text)
        }


def _is_valid(source: Extract) -> bool:
    return "json" not in source or steps_of(source["json"]) is not None


def _placed(items: Iterable[Item], above: _Placed, depth: int) -> Iterator[_Placed]:
    """Yield the requests of items and of the folders in them, in order."""
    for item in items:
        inside = _Placed(
            item,
            above.folders,
            item.auth or above.auth,
            {**(above.variables or {}), **entries_of(item.variable)},
            above.events,
        )
        if item.item is None:
            yield inside
        elif depth < _MAX_DEPTH:
            events = (*above.events, *(item.event or ()))
            inside = replace(inside, folders=(*above.folders, item.name), events=events)
            yield from _placed(item.item, inside, depth + 1)


def _saved_statuses(item: Item) -> tuple[int | str, ...]:
    """Return the statuses of the saved responses that are successes."""
    saved = item.response if isinstance(item.response, list) else []
    codes = [one.get("code") for one in saved if isinstance(one, Mapping)]
    return tuple(sorted({code for code in codes if type(code) is int and 200 <= code < 400}))


def _redirects(item: Item) -> int:
    behaviour = item.protocol if isinstance(item.protocol, Mapping) else {}
    if behaviour.get("followRedirects") is False:
        return 0
    most = behaviour.get("maxRedirects")
    return most if type(most) is int and 0 <= most <= 20 else _FOLLOWED
