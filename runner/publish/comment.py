"""The text of the comment: the important parts first, the rest folded, and never longer than allowed."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from runner.analyze.medians import of_medians
from runner.core.codes import Limit, Validity
from runner.core.errors import UsageError
from runner.core.metrics import cut_off_share
from runner.core.results import Results
from runner.core.stage_results import Stage
from runner.publish.difference import differences
from runner.publish.sanitize import sanitized, visible, without_commands
from runner.report import (
    conclusion,
    prose,
    request_tables,
    scenario_prose,
    scenario_tables,
    stage_choice,
    tables,
)
from runner.report.capacity import shown
from runner.report.headline import headline
from runner.report.limit_text import limit
from runner.report.markdown_text import EMPTY, Markdown, block, join, listed, markdown, table, unmarked
from runner.report.number_format import plural
from runner.report.replica_table import replicas
from runner.report.summary import TEXT_COLUMNS, summary_rows
from runner.report.threshold_lines import threshold_lines

Length: TypeAlias = int
"""In UTF-16 units, as the strictest of the providers counts."""

_MAX_TITLE: Final = 120
_MAX_COMMAND: Final = 400
_MAX_VERDICT: Final = 1200
_MAX_ABORT: Final = 600
_MAX_LEFT_OUT: Final = 600


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of the run, for the footer.

    Attributes:
        commit: The commit that was tested; empty if unknown.
        link: Address of the complete report; empty if there is none.
    """

    commit: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class _Section:
    """A part of the comment that may be left out as a whole.

    Attributes:
        name: What it is called if it is left out; empty for a part that is always shown.
        text: Sanitized Markdown.
        worth: Sections worth least are left out first.
    """

    name: str
    text: Markdown
    worth: int


def marker(results: Results, identity: str = "") -> str:
    """Return the hidden first line by which the comment is found again.

    Args:
        results: Of the run; its experiment's name distinguishes its comment from others.
        identity: Replaces that name, for several comments of one experiment.
    """
    return f"<!-- loadproof:comment {identity or results.experiment.name} -->"


def check_identity(word: str | None) -> str:
    """Return a word that may stand in a hidden marker.

    Raises:
        UsageError: It may not.
    """
    if word and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", word):
        raise UsageError(f"{word!r} cannot identify a comment", hint="use letters, digits, '.', '_' and '-'")
    return word or ""


@dataclass(frozen=True, slots=True)
class Draft:
    """Everything that a comment consists of; it can be rendered in several lengths.

    Attributes:
        results: Of the run.
        baseline: Results of the run to compare with.
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

    def render(self, max_length: Length) -> str:
        """Return the comment; whole sections are left out until it fits."""
        return _fit(self.marker, self._sections(), max_length, self.origin)

    def _sections(self) -> list[_Section]:
        results = self.results
        against = EMPTY
        if self.baseline is not None:
            against = markdown("#### Compared with the baseline\n\n{}", differences(results, self.baseline))
        parts = [
            ("", _head(results), 100),
            ("failed thresholds", _thresholds(results, ok=False), 90),
            ("passed thresholds", _passed(results), 40),
            ("the table", _table(results), 80),
            ("the comparison with the baseline", against, 70),
            *_details(results),
            *_requests(results),
            ("failures by kind", _fold("Request outcomes", tables.outcomes(results.configurations)), 30),
            ("the environment", _fold("Environment", tables.environment(results.environment)), 20),
        ]
        sections = [_Section(name, sanitized(text), worth) for name, text, worth in parts if text]
        return [*sections, _Section("", _footer(results, self.origin), 100)]


def _fit(first: str, sections: Sequence[_Section], max_length: Length, origin: Origin) -> str:
    """Leave out what is worth least until the rest fits; what is always shown is short by construction."""
    kept = list(sections)
    left_out: list[str] = []
    while True:
        text = _join(first, kept, left_out, origin)
        expendable = [section for section in kept if section.name]
        if len_utf16(text) <= max_length or not expendable:
            return text
        least = min(expendable, key=lambda section: (section.worth, -len(section.text)))
        kept.remove(least)
        left_out.append(least.name)


def _join(first: str, kept: Sequence[_Section], left_out: Sequence[str], origin: Origin) -> str:
    parts = [section.text for section in kept]
    if left_out:
        parts.insert(-1, _left_out(left_out, origin))
    return without_commands("\n\n".join([first, *parts])) + "\n"


def _left_out(names: Sequence[str], origin: Origin) -> Markdown:
    shown = sanitized(_shortened(listed(dict.fromkeys(names)), _MAX_LEFT_OUT))
    where = (
        Markdown(f"[the complete report]({origin.link})") if origin.link else "report.md in the run’s folder"
    )
    return markdown("_Left out to keep the comment short enough: {}. See {}._", shown, where)


def len_utf16(text: str) -> Length:
    """Return the length as the strictest of the providers counts it."""
    return len(text.encode("utf-16-le")) // 2


def _head(results: Results) -> Markdown:
    title = results.experiment.title
    short = title if len(title) <= _MAX_TITLE else f"{title[:_MAX_TITLE]}…"
    sign, outcome = _outcome(results)
    return join("\n\n", [markdown("### {} {}: {}", sign, short, outcome), *_verdicts(results)])


def _outcome(results: Results) -> tuple[str, str]:
    """Return sign and words for all stages together, the worst first."""
    stages = [stage for configuration in results.configurations for stage in configuration.stages]
    judged = threshold_lines(results)
    failed = [line for line in judged if not line.ok]
    invalid = [stage for stage in stages if stage.validity.status is Validity.INVALID]
    if failed:
        which = f"{len(failed)} of {len(judged)} thresholds" if len(judged) > 1 else "the threshold"
        return "❌", f"{which} failed"
    if results.run.status != "complete":
        return "⚠️", "the run was aborted"
    if invalid:
        return "⚠️", f"{len(invalid)} of {plural(len(stages), 'stage')} invalid"
    if len(judged) == 1:
        return "✅", "the threshold passed"
    if judged:
        return "✅", f"all {len(judged)} thresholds passed"
    return "📊", "measured, no thresholds were set"


def _verdicts(results: Results) -> Iterator[Markdown]:
    """Yield what limits the service, in a sentence or two."""
    if aborted := prose.aborted(results.run):
        yield markdown("> {}", _shortened(aborted, _MAX_ABORT))
    yield _shortened(conclusion.conclusion(results.configurations), _MAX_VERDICT)
    first = headline(results)
    kept_up = first.stage and first.stage.verdict.code is Limit.WITHIN_CAPACITY  # or a threshold failed
    if first.stage and (first.is_sustained or kept_up) and cut_off_share(first.stage):
        yield scenario_prose.cut_off(first.stage)
    missed = [
        (configuration, stage)
        for configuration in map(of_medians, results.configurations)
        for stage in stage_choice.missed(configuration.stages)
    ]
    if missed:
        configuration, stage = missed[0]
        name = f"{prose.title(configuration)}, " if len(results.configurations) > 1 else ""
        yield _shortened(markdown("**{}{}:** {}", name, stage.title, limit(stage)), _MAX_VERDICT)


def _shortened(text: Markdown, max_length: Length) -> Markdown:
    """Return Markdown; if too long, cut as plain text, because half a code span would expose its content."""
    return text if len(text) <= max_length else markdown("{}…", unmarked(text)[: max_length // 2])


def _thresholds(results: Results, *, ok: bool) -> Markdown:
    """Return a line for each threshold that all stages passed, or that some failed; empty without any."""
    lines = [line for line in threshold_lines(results) if line.ok is ok]
    return join("\n", (markdown("- {}", line.markdown) for line in lines))


def _passed(results: Results) -> Markdown:
    count = sum(line.ok for line in threshold_lines(results))
    return _fold(f"{plural(count, 'threshold')} passed", _thresholds(results, ok=True))


def _table(results: Results) -> Markdown:
    rows = summary_rows(results)
    if not rows:
        return EMPTY
    head = list(rows[0])
    words = {column for column, name in enumerate(head) if name in TEXT_COLUMNS}
    return table(head, [list(row.values()) for row in rows], words=words)


def _details(results: Results) -> Iterator[tuple[str, Markdown, int]]:
    """Yield name, text and worth of a section for each configuration."""
    for configuration in results.configurations:
        stages = configuration.stages
        parts = [
            *prose.warnings(stages),
            tables.details(stages),
            *_cpu_usage(stages),
            replicas(stages),
            *prose.analysis(of_medians(configuration).stages),
        ]
        name = configuration.title or configuration.name
        heading = f"Details of {name}" if len(results.configurations) > 1 else "Details"
        yield f"details of {name}", _fold(heading, join("\n\n", filter(None, parts))), 50


def _requests(results: Results) -> Iterator[tuple[str, Markdown, int]]:
    """Yield name, text and worth of the results of each request, for each configuration with a mix."""
    for configuration in results.configurations:
        stages = shown(of_medians(configuration)).stages
        tables_shown = [
            scenario_tables.results_by_scenario(stages),
            *(
                markdown("Steps of {}:\n\n{}", one.heading, one.table)
                for one in scenario_tables.steps(stages)
            ),
            request_tables.results_by_request(stages),
            request_tables.failures_by_request(stages),
        ]
        name = configuration.title or configuration.name
        heading = f"Requests of {name}" if len(results.configurations) > 1 else "Results by request"
        yield f"requests of {name}", _fold(heading, join("\n\n", filter(None, tables_shown))), 60


def _cpu_usage(stages: Sequence[Stage]) -> Iterator[Markdown]:
    if by_role := tables.cpu_by_role(stages):
        yield markdown("Average CPU usage by component (cores):")
        yield by_role


def _fold(heading: str, text: Markdown) -> Markdown:
    """Return text that is folded under a heading, which is HTML; empty without text."""
    if not text:
        return EMPTY
    summary = Markdown(html.escape(" ".join(heading.split()), quote=False))
    return markdown("<details>\n<summary>{}</summary>\n\n{}\n\n</details>", summary, text)


def _footer(results: Results, origin: Origin) -> Markdown:
    version = str(results.environment.get("loadproof", ""))[:_MAX_TITLE]
    facts = [
        markdown("Loadproof {}", version) if version else markdown("Loadproof"),
        markdown("commit {}", origin.commit) if origin.commit else EMPTY,
        markdown("run {}", results.run.id),
    ]
    link = Markdown(f" · [report]({origin.link})") if origin.link else EMPTY
    command = visible(results.run.command)
    shown = command if len(command) <= _MAX_COMMAND else f"{command[:_MAX_COMMAND]} …"
    return markdown(
        "{}\n\n<sub>{}{}</sub>", block([shown]), sanitized(join(" · ", filter(None, facts))), link
    )
