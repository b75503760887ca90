"""Errors limit a stage where they explain what is missing or grow with the rate; else they are seen too."""

import pytest
from msgspec.structs import replace

from runner.analyze.slices import slices
from runner.analyze.verdict import Limited, verdict
from runner.core.codes import Confidence, Limit
from runner.core.ramp import Ramp
from tests.analyze.simulated import Ended, order, simulate
from tests.analyze.test_rules import cores, requests, stage

FULL_HOST = cores(app=0.2, other=1.6, generator=0.1, system=2.0)
LEVEL = Ramp(20.0, 150.0)


def failed(count):
    return requests(succeeded=2500 - count, failed=count, failures={"bad_status": count})


def limits(**changes):
    return [(one.code, one.confidence) for one in verdict(stage(**changes), 2).findings]


def ramp(*shares):
    """Return a ramp of which these shares of the requests failed, in equal parts of it."""
    facts = simulate(order(20, 20.0, rate_to=150), lambda due: [Ended(at, at + 0.01) for at in due])
    parts = slices(facts, LEVEL, 20.0)
    lost = [
        round(shares[place * len(shares) // len(parts)] * part.requests.scheduled)
        for place, part in enumerate(parts)
    ]
    made = tuple(
        replace(part, requests=replace(part.requests, failed=count, failures={"bad_status": count}))
        for part, count in zip(parts, lost, strict=True)
    )
    whole = requests(scheduled=1700, failed=sum(lost), failures={"bad_status": sum(lost)})
    return stage(ramp=LEVEL, slices=made, requests=whole, window_s=20.0, achieved=0.57)


def test_few_errors_do_not_limit_a_stage_whose_host_is_full():
    first, second = limits(requests=failed(100), cpu_cores=FULL_HOST)

    assert first == (Limit.HOST_CPU, Confidence.LIKELY)
    assert second == (Limit.ERROR, Confidence.HINT)


def test_few_errors_beside_nothing_else_leave_the_limit_open():
    found = verdict(stage(requests=failed(100)), 2)

    assert found.code is Limit.UNDETERMINED
    assert found.findings[1].code is Limit.ERROR
    assert found.findings[1].summary.endswith("which is 2.0 % of all that was due, while 50.0 % are missing")


@pytest.mark.parametrize(("count", "achieved"), [(100, 0.97), (1500, 0.5)])
def test_errors_that_are_a_notable_part_of_what_is_missing_limit_a_stage(count, achieved):
    assert limits(requests=failed(count), achieved=achieved)[0] == (Limit.ERROR, Confidence.LIKELY)


@pytest.mark.parametrize(
    ("shares", "limit"), [((0.02, 0.02), Limit.UNDETERMINED), ((0.0, 0.06), Limit.ERROR)]
)
def test_errors_limit_a_ramp_where_they_grow_with_the_rate(shares, limit):
    made = ramp(*shares)

    assert verdict(made, 2, limited=Limited(LEVEL, made)).code is limit
