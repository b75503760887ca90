"""The comment's text: what matters first, the rest folded, and never longer than it may be."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from runner.core.errors import UsageError
from runner.publish.difference import Compare, differences
from runner.publish.sanitize import defused, plain, without_commands
from runner.report import conclusion, number_format, prose, tables
from runner.report.markdown_text import block, code, escape, table
from runner.report.summary import WORDS, summary_rows

Results: TypeAlias = Mapping[str, Any]
Placed: TypeAlias = tuple[Mapping[str, Any], Mapping[str, Any]]

_SIGNS: Final = {"failed": "❌", "doubtful": "⚠️", "passed": "✅", "measured": "📊"}
_LONGEST_TITLE: Final = 120
_LONGEST_COMMAND: Final = 400


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the run comes from, for the footer.

    Attributes:
        commit: The commit that was tested; empty when unknown.
        link: An address where the whole report lies; empty when there is none.
    """

    commit: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class _Section:
    """A part of the comment that may be left out whole.

    Attributes:
        name: What it is called when it was left out; empty for what is never left out.
        text: Markdown.
        worth: Sections worth least go first.
    """

    name: str
    text: str
    worth: int


def marker(results: Results, identity: str = "") -> str:
    """The hidden first line by which the comment is found again.

    Args:
        results: The run; its experiment's name tells its comment from others.
        identity: A word that replaces that name, for several comments of one experiment.
    """
    return f"<!-- loadproof:comment {identity or results['experiment']['name']} -->"


def check_identity(word: str | None) -> str:
    """A word that may stand in a hidden marker.

    Raises:
        UsageError: It may not.
    """
    if word and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", word):
        raise UsageError(f"{word!r} cannot name a comment", hint="use letters, digits, '.', '_' and '-'")
    return word or ""


@dataclass(frozen=True, slots=True)
class Draft:
    """Everything a comment is made of; it can be written again for another length.

    Attributes:
        results: A run's results, as `runner.store.results_file` has let them through.
        baseline: The results of the run to compare with.
        origin: Commit and link for the footer.
        identity: As for `marker`.
    """

    results: Results
    baseline: Results | None = None
    origin: Origin = Origin()
    identity: str = ""

    @property
    def marker(self) -> str:
        """The comment's first line."""
        return marker(self.results, self.identity)

    def render(self, most: int) -> str:
        """The comment, at most so many UTF-16 units long."""
        return render_comment(
            self.results, most=most, origin=self.origin, baseline=self.baseline, identity=self.identity
        )


def render_comment(
    results: Results,
    *,
    most: int,
    origin: Origin = Origin(),
    baseline: Results | None = None,
    identity: str = "",
    compare: Compare = differences,
) -> str:
    """The comment about a run.

    Args:
        results: A run's results, as `runner.store.results_file` has let them through.
        most: How many UTF-16 units it may have; sections are dropped whole until it fits.
        origin: Commit and link for the footer.
        baseline: The results of the run to compare with.
        identity: As for `marker`.
        compare: Sets two runs side by side.
    """
    safe = defused(results)
    against = ""
    if baseline is not None:
        against = f"#### Against the baseline\n\n{compare(safe, defused(baseline))}"
    sections = [
        _Section("", _head(safe), 100),
        _Section("failed thresholds", _failed(safe), 90),
        _Section("passed thresholds", _passed(safe), 40),
        _Section("the table", _table(safe), 80),
        _Section("the difference against the baseline", against, 70),
        *(_details(safe, configuration) for configuration in safe["configurations"]),
        _Section("failures by kind", _fold("What became of every request", _failures(safe)), 30),
        _Section("the environment", _fold("Where it ran", tables.environment(safe["environment"])), 20),
        _Section("", _footer(safe, origin), 100),
    ]
    return _fit(marker(results, identity), [each for each in sections if each.text], most, origin)


def _fit(first: str, sections: Sequence[_Section], most: int, origin: Origin) -> str:
    """Drop what is worth least until the rest fits; what is never dropped is short by construction."""
    kept = list(sections)
    dropped: list[str] = []
    while True:
        text = _join(first, kept, dropped, origin)
        expendable = [each for each in kept if each.name]
        if len_utf16(text) <= most or not expendable:
            return text
        least = min(expendable, key=lambda each: (each.worth, -len(each.text)))
        kept.remove(least)
        dropped.append(least.name)


def _join(first: str, kept: Sequence[_Section], dropped: Sequence[str], origin: Origin) -> str:
    parts = [each.text for each in kept]
    if dropped:
        where = f"[the whole report]({origin.link})" if origin.link else "report.md in the run’s folder"
        names = number_format.listed(list(dict.fromkeys(dropped)))
        parts.insert(-1, f"_Left out because a comment may not be longer: {names}. See {where}._")
    return without_commands("\n\n".join([first, *parts])) + "\n"


def len_utf16(text: str) -> int:
    """The length as the strictest of the providers would count it."""
    return len(text.encode("utf-16-le")) // 2


def _head(results: Results) -> str:
    title = results["experiment"]["title"]
    short = title if len(title) <= _LONGEST_TITLE else f"{title[:_LONGEST_TITLE]}…"
    kind, said = _outcome(results)
    parts = [f"### {_SIGNS[kind]} {escape(short)}: {said}", *_verdicts(results)]
    return "\n\n".join(parts)


def _outcome(results: Results) -> tuple[str, str]:
    """The sign and the words for all stages together, the worst first."""
    stages = [stage for _, stage in _placed(results)]
    judged = [each for stage in stages for each in stage["thresholds"]]
    failed = [each for each in judged if not each["ok"]]
    invalid = [stage for stage in stages if stage["validity"]["status"] == "invalid"]
    if failed:
        return "failed", f"{len(failed)} of {number_format.plural(len(judged), 'threshold')} failed"
    if results["run"]["status"] != "complete":
        return "doubtful", "the run was aborted"
    if invalid:
        return "doubtful", f"{len(invalid)} of {number_format.plural(len(stages), 'stage')} invalid"
    if judged:
        return "passed", f"{'the' if len(judged) == 1 else 'all'} {_several(len(judged), 'threshold')} passed"
    return "measured", "measured, no thresholds were set"


def _several(number: int, noun: str) -> str:
    return noun if number == 1 else f"{number} {noun}s"


def _verdicts(results: Results) -> Iterator[str]:
    """What limits the service, in a sentence or two."""
    aborted = prose.aborted(results["run"])
    if aborted:
        yield f"> {_cut(aborted, 600)}"
    yield _cut(conclusion.conclusion(results["configurations"]), 1200)
    short = [
        (configuration, stage)
        for configuration in results["configurations"]
        for stage in prose.missed(configuration["stages"])
    ]
    if short:
        configuration, stage = short[0]
        name = f"{prose.heading(configuration)}, " if len(results["configurations"]) > 1 else ""
        yield _cut(f"**{name}{prose.stage_name(stage)}:** {prose.limit(stage)}", 1200)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most].rstrip("\\") + "…"


def _placed(results: Results) -> Iterator[Placed]:
    for configuration in results["configurations"]:
        for stage in configuration["stages"]:
            yield configuration, stage


def _thresholds(results: Results, *, ok: bool) -> str:
    several = len(results["configurations"]) > 1
    rows = [
        [
            code(each["expr"]),
            (f"{escape(configuration['name'])}, " if several else "") + tables.stage_name(stage),
            tables.threshold_value(each),
            "passed" if ok else "**failed**",
        ]
        for configuration, stage in _placed(results)
        for each in stage["thresholds"]
        if each["ok"] is ok
    ]
    return table(["Threshold", "Stage", "Measured", "Result"], rows, figures=False) if rows else ""


def _failed(results: Results) -> str:
    return _thresholds(results, ok=False)


def _passed(results: Results) -> str:
    rows = _thresholds(results, ok=True)
    count = sum(each["ok"] for _, stage in _placed(results) for each in stage["thresholds"])
    return _fold(f"{number_format.plural(count, 'threshold')} passed", rows)


def _table(results: Results) -> str:
    rows = summary_rows(results)
    if not rows:
        return ""
    head = list(rows[0])
    words_at = {at for at, name in enumerate(head) if name in WORDS}
    return table(head, [[escape(cell) for cell in row.values()] for row in rows], words=words_at)


def _details(results: Results, configuration: Mapping[str, Any]) -> _Section:
    stages = configuration["stages"]
    parts = [
        *prose.warnings(stages),
        tables.details(stages),
        tables.ledger(stages),
        tables.replicas(stages),
        *prose.analysis(stages),
    ]
    name = configuration["title"] or configuration["name"]
    heading = f"Details of {name}" if len(results["configurations"]) > 1 else "Details"
    return _Section(
        f"details of {escape(name)}", _fold(heading, "\n\n".join(part for part in parts if part)), 50
    )


def _failures(results: Results) -> str:
    return tables.failures(results["configurations"])


def _fold(heading: str, text: str) -> str:
    """Text to open, under a heading that is no Markdown but HTML."""
    return f"<details>\n<summary>{html.escape(heading)}</summary>\n\n{text}\n\n</details>" if text else ""


def _footer(results: Results, origin: Origin) -> str:
    run = results["run"]
    facts = [
        f"Loadproof {escape(str(results['environment'].get('loadproof', '')))}".rstrip(),
        f"commit {plain(origin.commit)}" if origin.commit else "",
        f"run {run['id']}",
        f"[report]({origin.link})" if origin.link else "",
    ]
    command = run["command"]
    shown = command if len(command) <= _LONGEST_COMMAND else f"{command[:_LONGEST_COMMAND]} …"
    return f"{block([shown])}\n\n<sub>{' · '.join(each for each in facts if each)}</sub>"
