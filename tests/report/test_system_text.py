"""The sentence about the system and its load."""

import pytest

from runner.core.load_facts import ConnectionCounts
from runner.report.system_text import described
from tests.report.stored_results import stored, with_stage

CLOSED = "with keep-alive connections, which the server closed after most responses"


def sentence(closed):
    """Return the sentence for a run over keep-alive connections."""
    results = stored("quickstart")
    counts = None if closed is None else ConnectionCounts(opened=10, closed_by_server=closed)
    for at in range(2):
        results = with_stage(results, (0, at), connections=counts)
    return described(results.configurations[0])


@pytest.mark.parametrize(("share", "shown"), [(1.0, True), (0.5, True), (0.4, False), (0.0, False)])
def test_keep_alive_connections_that_the_server_closes_are_described_as_such(share, shown):
    sent = [stage.requests.sent for stage in stored("quickstart").configurations[0].stages]

    assert (CLOSED in sentence(round(share * sum(sent) / len(sent)))) is shown


def test_without_counts_nothing_is_claimed():
    assert "which the server closed" not in sentence(None)
