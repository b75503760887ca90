"""A run that was told to end while a stack was removed does not announce another one."""

from types import SimpleNamespace

import trio

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
