"""The fake engine keeps the contract that other tests rely on."""

from runner.core.facts import Endpoint
from runner.experiment.model import Load, Stage
from runner.load import fake
from runner.load.engine import LoadOrder


async def test_the_fake_returns_known_facts_in_virtual_time(autojump_clock):
    order = LoadOrder(Endpoint("x", 1), Load(), Stage(rps=1000, duration=2.5, warmup=1))
    seen = []

    facts = await fake.offer(order, on_spawn=seen.append, on_second=seen.append)

    assert [second.scheduled for second in facts.seconds] == [1000, 1000, 500]
    assert facts.planned == sum(second.succeeded for second in seen) == 2500
    assert facts.seconds[0].duration.percentile_ms(50) == 2.0
