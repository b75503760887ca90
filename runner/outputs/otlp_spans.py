"""A run as a span with its stages as children, as OpenTelemetry has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, Tracer, TracerProvider
from opentelemetry.trace import Status, StatusCode
from opentelemetry.util.types import AttributeValue

from runner.core.codes import StageStatus, Validity
from runner.core.results import ConfigurationResults, Results
from runner.core.stage_results import Stage
from runner.outputs.live_totals import LiveTotals, Times
from runner.report.headline import headline

_NAMED: Final = 3
"""Stages that the status of a run names."""


def spans_of(results: Results, totals: LiveTotals, resource: Resource, scope: str) -> list[ReadableSpan]:
    """Return the span of a run, and one for each stage that ran in this process.

    Args:
        results: Of the run.
        totals: Have the times of the run and of its trials.
        resource: What the spans are about.
        scope: Name of what makes them.
    """
    tracer = TracerProvider(resource=resource, shutdown_on_exit=False).get_tracer(scope)
    assert isinstance(tracer, Tracer)
    whole = _span(tracer, f"loadproof {results.experiment.name}", totals.times, _of_run(results))
    faults = list(_faults_of_run(results))
    whole.set_status(_status(faults))
    parent = trace.set_span_in_context(whole)
    spans: list[ReadableSpan] = []
    for configuration in results.configurations:
        for stage in configuration.stages:
            if (times := totals.trial_times.get(stage.order + 1)) is None:
                continue
            name = f"{configuration.name} · {stage.title}"
            span = tracer.start_span(name, context=parent, start_time=_ns(times.begin))
            span.set_attributes(_of_stage(configuration, stage))
            span.set_status(_status(list(_faults(stage))))
            span.end(_ns(times.end))
            assert isinstance(span, ReadableSpan)
            spans.append(span)
    whole.end(_ns(totals.times.end))
    return [whole, *spans]


def _span(tracer: Tracer, name: str, times: Times, attributes: Mapping[str, AttributeValue]) -> Span:
    span = tracer.start_span(name, start_time=_ns(times.begin))
    assert isinstance(span, Span)
    span.set_attributes(attributes)
    return span


def _ns(at_s: float) -> int:
    return round(at_s * 1e9)


def _status(faults: list[str]) -> Status:
    return Status(StatusCode.ERROR, "; ".join(faults)) if faults else Status(StatusCode.OK)


def _of_run(results: Results) -> dict[str, AttributeValue]:
    first = headline(results)
    return _known(
        {
            "loadproof.experiment": results.experiment.name,
            "loadproof.run_id": results.run.id,
            "loadproof.status": results.run.status,
            "loadproof.headline": first.sentence,
            "loadproof.verdict": None if first.limit is None else first.limit.value,
            "loadproof.confidence": None if first.confidence is None else first.confidence.value,
            "loadproof.is_sustained": first.is_sustained,
            "loadproof.rate": first.rate,
            "loadproof.rate_unit": first.rate_unit,
            "loadproof.p95_ms": first.p95_ms,
            "loadproof.error_share": first.error_share,
        }
    )


def _of_stage(configuration: ConfigurationResults, stage: Stage) -> dict[str, AttributeValue]:
    requests = stage.requests
    return _known(
        {
            "loadproof.configuration": configuration.name,
            "loadproof.stage": stage.name,
            "loadproof.repeat": stage.repeat,
            "loadproof.engine": stage.engine,
            "loadproof.status": stage.status.value,
            "loadproof.verdict": stage.verdict.code.value,
            "loadproof.confidence": stage.verdict.confidence.value,
            "loadproof.validity": stage.validity.status.value,
            "loadproof.target_rps": stage.target_rps,
            "loadproof.actual_rps": stage.actual_rps,
            "loadproof.achieved": stage.achieved,
            "loadproof.duration.p95_ms": stage.duration_ms.p95,
            "loadproof.response_time.p95_ms": stage.response_time_ms.p95,
            "loadproof.requests.scheduled": requests.scheduled,
            "loadproof.requests.succeeded": requests.succeeded,
            "loadproof.requests.failed": requests.failed,
            "loadproof.requests.dropped": requests.dropped,
            "loadproof.thresholds_failed": [check.expr for check in stage.thresholds if not check.ok],
        }
    )


def _known(attributes: Mapping[str, AttributeValue | None]) -> dict[str, AttributeValue]:
    """Return the attributes that have a value: there is no null."""
    return {name: value for name, value in attributes.items() if value is not None}


def _faults_of_run(results: Results) -> Iterator[str]:
    if results.run.status != "complete":
        yield f"the run was aborted{f' by {results.run.signal}' if results.run.signal else ''}"
    stages = [stage for one in results.configurations for stage in one.stages]
    broken = [stage for stage in stages if any(True for _ in _faults(stage))]
    if broken:
        more = " and more" if len(broken) > _NAMED else ""
        yield f"{', '.join(stage.title for stage in broken[:_NAMED])}{more} failed"


def _faults(stage: Stage) -> Iterator[str]:
    """Yield why a stage is an error: it did not run to its end, is invalid, or failed a threshold."""
    if stage.status not in {StageStatus.COMPLETE, StageStatus.NOT_RUN}:
        yield f"the stage {stage.status.value}"
    if stage.validity.status is Validity.INVALID and stage.status is not StageStatus.NOT_RUN:
        yield f"invalid: {'; '.join(stage.validity.reasons)}"
    yield from (f"threshold failed: {check.expr}" for check in stage.thresholds if not check.ok)
