"""Facts of nodes: what a message or a journal may contain, and what it may not."""

import msgspec
import pytest
from msgspec.structs import replace

from runner.core.load_facts import LoadFacts
from runner.core.node_facts import ClockFacts, NodeLoad

NODE = NodeLoad(
    "node-2", 1, 0.5, 3_000, clock=ClockFacts(-5_000_000_000, 90_000, 180_000), lost="silent for 3 s"
)
FACTS = LoadFacts("builtin", 1, 3_000, (), complete=True, clock="any")


def test_they_survive_the_journal():
    facts = replace(FACTS, nodes=(NODE,))
    assert msgspec.json.decode(msgspec.json.encode(facts), type=LoadFacts) == facts


def test_load_of_one_machine_says_nothing_of_nodes():
    assert b"nodes" not in msgspec.json.encode(FACTS)


@pytest.mark.parametrize(
    "field", [b'"planned":-1', b'"scheduled":-1', b'"not_offered":1.5', b'"clock":{"offset_ns":"now"}']
)
def test_impossible_numbers_are_refused(field):
    text = b'{"node":"n","workers":1,"share":1,"planned":1,' + field + b"}"
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=NodeLoad)
