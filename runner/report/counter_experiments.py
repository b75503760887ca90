"""The counter-experiments of a configuration: what was changed, what it did, what that says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.report import number_format
from runner.report.markdown_text import escape, table
from runner.report.tables import stage_name


def proofs(configuration: Mapping[str, Any]) -> dict[str, Any] | None:
    """A table of both runs and a sentence for each; None when nothing was tried."""
    pairs = [
        (stage, found)
        for stage in configuration["stages"]
        if (found := stage["verdict"].get("counter_experiment"))
    ]
    if not pairs:
        return None
    head = ["Stage", "Change", "RPS before", "RPS after"]
    head += ["p95 response before (ms)", "p95 response after (ms)", "Answer"]
    rows = [
        [
            stage_name(stage),
            escape(found["words"]),
            *(number_format.rate(rps) for rps in found["actual_rps"]),
            number_format.ms(stage["response_time_ms"]["p95"]),
            number_format.ms(found["trial"]["response_time_ms"]["p95"]),
            f"**{found['answer']}**",
        ]
        for stage, found in pairs
    ]
    lines = [f"{stage_name(stage)}: {escape(found['sentence'])}" for stage, found in pairs]
    return {"table": table(head, rows), "lines": lines}
