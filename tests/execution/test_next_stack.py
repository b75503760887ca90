"""What happens between two stacks of a run."""

from types import SimpleNamespace

import trio

from runner.execution.nodes import agents_around
from runner.execution.pipeline import open_stack


async def test_no_stack_is_announced_after_the_end_of_a_run():
    said = []
    context = SimpleNamespace(watcher=SimpleNamespace(say=said.append))
    configuration = SimpleNamespace(name="shop", topology=SimpleNamespace(kind="process"))
    with trio.CancelScope() as run:
        run.cancel()
        async with open_stack(configuration, context):
            pass

    assert run.cancelled_caught
    assert not said


async def test_agents_are_removed_before_a_stack_that_needs_none():
    closed = []

    async def close():
        closed.append(True)

    context = SimpleNamespace(agents=SimpleNamespace(close=close))
    async with agents_around(SimpleNamespace(load_nodes=None), context) as inside:
        assert closed == [True]
        assert inside is context
