"""Tables of responses that did not succeed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from runner.core.codes import StageStatus
from runner.core.load_facts import ResponseSample
from runner.core.stage_results import Stage
from runner.core.status_advice import describe_sample, kind_advice, stage_advice
from runner.report import number_format
from runner.report.markdown_text import EMPTY, Markdown, code, table
from runner.report.number_format import NOT_APPLICABLE

_STATUSES_SHOWN: Final = 8


def failed_responses(stages: Sequence[Stage], paths: Mapping[str, str] = MappingProxyType({})) -> Markdown:
    """Return how many responses had each status that is not accepted, with an example and what to do.

    Args:
        stages: Of one configuration.
        paths: Of a mix: name of a request to its path.
    """
    rows = [
        [stage.title, code(name) if name else NOT_APPLICABLE, *row]
        for stage in stages
        for name, part in _each_request(stage)
        for row in (*_by_status(stage, part, name, paths.get(name, "")), *_other_samples(part, name))
    ]
    head = ["Stage", "Request", "Outcome", "Requests", "First response", "What to do"]
    if not any(stage.parts for stage in stages):
        rows, head = [[first, *rest] for first, _, *rest in rows], [head[0], *head[2:]]
    counts_at = head.index("Requests")
    return table(head, rows, words=set(range(len(head))) - {counts_at}) if rows else EMPTY


def _each_request(stage: Stage) -> list[tuple[str, Stage]]:
    """Return each request of a mix by name; without one, the whole stage without a name."""
    return [(name, stage.part(name)) for name in stage.request_parts] or [("", stage)]


def _by_status(stage: Stage, part: Stage, request: str, path: str) -> Iterator[list[str]]:
    """Yield a row for each of the most frequent statuses, and one for all others."""
    counts = sorted((part.requests.statuses or {}).items(), key=lambda item: -item[1])
    for status, count in counts[:_STATUSES_SHOWN]:
        shown = _shown(part.sample_of_status(status))
        what_to_do = stage_advice(stage, status, request=request, path=path)
        yield [status, number_format.count(count), shown, what_to_do]
    if rest := counts[_STATUSES_SHOWN:]:
        total = number_format.count(sum(count for _, count in rest))
        yield [f"{len(rest)} more", total, NOT_APPLICABLE, NOT_APPLICABLE]


def _other_samples(stage: Stage, request: str) -> Iterator[list[str]]:
    """Yield a row for each other failure of which there is a response."""
    for sample in stage.samples:
        if sample.failure != "bad_status":
            count = number_format.count(stage.requests.failures.get(sample.failure, 0))
            notes = (sample.failed_checks, kind_advice(sample.failure, request))
            what_to_do = "; ".join(filter(None, notes)) or NOT_APPLICABLE
            yield [code(sample.failure), count, _shown(sample), what_to_do]


def _shown(sample: ResponseSample | None) -> str:
    text = describe_sample(sample) if sample else ""
    return code(text) if text else NOT_APPLICABLE


def failure_kinds(stages: Iterable[Stage]) -> list[str]:
    """Return every kind of failure of some stages, by name."""
    return sorted({kind for stage in stages for kind in stage.requests.failures})


def counts(stage: Stage, kinds: Sequence[str]) -> list[str]:
    """Return how many requests were scheduled, succeeded, failed by kind, and were dropped."""
    requests = stage.requests
    if stage.status is StageStatus.NOT_RUN:
        return [NOT_APPLICABLE] * (len(kinds) + 3)
    failed = [requests.failures.get(kind, 0) for kind in kinds]
    counts = (requests.scheduled, requests.succeeded, *failed, requests.dropped)
    return [number_format.count(number) for number in counts]
