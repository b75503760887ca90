"""A registry that does not do what registries do ends a push in bounded time, with a message."""

import pytest

from runner.core.errors import StackFailed
from runner.stack.docker.engine import connect
from runner.stack.docker.images import find_image
from runner.stack.docker.responses import Progress
from runner.stack.swarm import images
from runner.stack.swarm.push_progress import PushProgress
from tests.small_image import import_small_image
from tests.stack.docker.false_registry import NOWHERE, registry

pytestmark = pytest.mark.docker


@pytest.fixture
async def engine():
    engine = await connect()
    yield engine
    engine.close()


@pytest.fixture
def small(api):
    """The name of an image with one file of its own."""
    yield import_small_image(api, "test-push/small")
    names = [name for one in api.images() for name in one["RepoTags"] or () if name.endswith("/small:1")]
    for name in names:
        api.remove_image(name)


@pytest.fixture
def push(engine, small):
    async def push(address):
        image = await find_image(engine, small)
        return await images.push(engine, image, f"{address}/load", lambda _: None)

    return push


async def test_what_an_honest_registry_takes_is_pinned_by_its_digest(push):
    with registry("none") as address:
        assert (await push(address)).startswith(f"{address}/load/small@sha256:")


@pytest.mark.parametrize("fault", ["silent", "dripping", "failing", "without_token"])
async def test_a_registry_that_takes_nothing_is_not_waited_for(push, monkeypatch, fault):
    monkeypatch.setattr(images, "_PUSH_SILENCE_S", 1)
    with registry(fault) as address, pytest.raises(StackFailed) as failed:
        await push(address)

    reason = "the registry took nothing for 1 s"
    assert failed.value.message == f"{address}/load/small:1 cannot be pushed: {reason}"
    assert "must reach the registry" in failed.value.hint


async def test_a_registry_that_leads_to_where_nothing_listens_is_named_with_the_reason(push):
    with registry("elsewhere") as address, pytest.raises(StackFailed) as failed:
        await push(address)

    reason = f'Get "{NOWHERE}": dial tcp 127.0.0.1:1: connect: connection refused'
    assert failed.value.message == f"{address}/load/small:1 cannot be pushed: {reason}"


async def test_a_registry_with_another_image_under_the_name_is_refused(push):
    with registry("lying") as address, pytest.raises(StackFailed) as failed:
        await push(address)

    assert f"{address}/load/small:1 was pushed as sha256:" in failed.value.message
    assert "and the registry has sha256:" in failed.value.message


def test_a_layer_that_is_tried_again_and_again_does_not_get_on():
    progress = PushProgress()
    lines = [Progress(id="layer", status=f"Retrying in {left} seconds") for left in range(20, 0, -1)]

    assert [progress.take(line) for line in lines].count(True) == 5
    assert progress.take(Progress(id="layer-2", status="Preparing"))
