"""One message names what all nodes lack, with the command for each node."""

from runner.cluster.placement import Node
from runner.stack.docker.images import Image
from runner.stack.swarm.missing_images import NeededImage, images_missing


def node(number: int, name: str = "") -> Node:
    name = name or f"node-{number:02}"
    return Node(f"{number:06}xyz", name, f"192.0.2.{number}", 2, 2**30, "amd64")


def needed(part: str, name: str) -> NeededImage:
    return NeededImage(part, Image(name, name, f"sha256:{name}", None), (), "")


AGENTS, APP, CACHE = (
    needed("agents", "loadproof-agent:ab12"),
    needed("app", "shop:1"),
    needed("cache", "shop:1"),
)


def test_nodes_that_lack_the_same_share_a_sentence_and_each_has_its_command():
    error = images_missing(
        [(node(2), [APP, AGENTS, CACHE]), (node(3), [AGENTS, APP, CACHE]), (node(4), [APP])]
    )

    assert error.message == (
        "node-02 and node-03 lack loadproof-agent:ab12 (agents) and shop:1 (app and cache); "
        "node-04 lacks shop:1 (app)"
    )
    assert error.details == (
        "docker save loadproof-agent:ab12 shop:1 | ssh node-02 docker load",
        "docker save loadproof-agent:ab12 shop:1 | ssh node-03 docker load",
        "docker save shop:1 | ssh node-04 docker load",
    )


def test_words_are_quoted_and_nodes_of_one_name_are_told_apart_by_their_addresses():
    error = images_missing([(node(2, "web-000002"), [needed("app", "a b")])], "or name a registry")

    assert error.details == ("docker save 'a b' | ssh 192.0.2.2 docker load",)
    assert error.hint.endswith("the engine of the manager, or name a registry")


def test_of_very_many_nodes_some_are_counted_only():
    error = images_missing([(node(number), [APP]) for number in range(1, 100)])

    assert len(error.details) == 20
    assert error.message.endswith("node-20 lack shop:1 (app); 79 more nodes lack images")
