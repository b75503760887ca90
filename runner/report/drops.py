"""Why requests or users were dropped or left out, in words: only what the generator counted is a reason."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

from runner.core.codes import Validity
from runner.core.load_facts import DropCauses
from runner.core.stage_results import Stage
from runner.report.markdown_text import EMPTY, Markdown, markdown


def phrases(causes: DropCauses | None, dropped: int, begun: Literal["sent", "started"]) -> Iterator[Markdown]:
    """Yield for each cause how many were dropped, each as the end of a sentence about all that were due.

    Args:
        causes: As far as they are known; None where no cause is.
        dropped: Requests, or users of scenarios.
        begun: What would have happened to them: requests are sent, users started.
    """
    if causes is None:
        if dropped:
            yield markdown("{:,} were never {}", dropped, begun)
        return
    left = dropped
    for count, words in (
        (causes.too_late, f"were never {begun} because the generator fell behind its schedule"),
        (
            causes.not_offered,
            f"were probably not {begun}, because their part of the generator ended",
        ),
        (causes.no_virtual_user, "were dropped because k6 was still adding virtual users"),
        (causes.unknown_end, "have no known end because their part of the generator was lost"),
        (causes.cut_off, "were under way when the stage ended early"),
    ):
        here = min(count, left)  # of repeats, both are medians
        left -= here
        if here:
            yield markdown("{:,} {}", here, words)
    if left:
        what = "dropped" if begun == "sent" else f"never {begun}"
        if causes.cut_off:  # of a stage that ended early, it is not known why
            yield markdown("{:,} were {}", left, what)
        else:
            yield markdown("{:,} were {} because `max_in_flight` was reached", left, what)


def left_out(stage: Stage) -> Markdown:
    """Return in a sentence how many requests due k6 neither sent nor dropped; empty without any.

    Of more than a few, the stage is invalid, and the reason says it.
    """
    due = math.floor(round((stage.target_rps or 0.0) * stage.window_s, 6))
    missing = due - stage.requests.scheduled
    if stage.engine != "k6" or stage.validity.status is Validity.INVALID or missing <= 0:
        return EMPTY
    return markdown(
        " {:,} of the {:,} requests due are missing here, because k6 fell behind: it neither sent nor "
        "dropped them before the window ended.",
        missing,
        due,
    )
