import trio

from runner.core.facts import Event
from runner.stack.fake import FakeStack, fake_opener


async def test_a_fake_stack_is_up_while_it_is_open_and_breaks_on_command(ctx, nursery):
    stack = FakeStack()
    event = Event("app-died", "gone")

    async with fake_opener(stack)(None, ctx) as opened:
        assert opened is stack
        assert stack.is_up
        nursery.start_soon(stack.wait_broken)
        await trio.testing.wait_all_tasks_blocked()
        stack.die(event)
        assert await stack.wait_broken() == event

    assert not stack.is_up


async def test_opened_again_it_is_whole_again(ctx):
    stack = FakeStack()
    async with fake_opener(stack)(None, ctx):
        stack.die(Event("app-died", "gone"))

    async with fake_opener(stack)(None, ctx):
        assert stack.broken is None
    assert stack.opened == 2
