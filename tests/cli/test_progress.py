"""What the terminal shows while scenarios run."""

from __future__ import annotations

import io

from rich.console import Console

from runner.cli.progress import Now, PlainProgress, panel
from runner.experiment.load import read_spec
from runner.experiment.trials import plan
from tests.analyze.scenario_facts import SPEC, scenario_trial, users


def test_lines_name_users_and_how_their_scenarios_ended():
    (trial,) = plan(read_spec(SPEC, source="shop.yaml"))
    facts = scenario_trial(users(fails=lambda k: "cart" if k % 8 == 0 else ""))
    text = io.StringIO()
    progress = PlainProgress(Console(file=text, width=160))

    progress.trial_begins(trial, 1)
    for second in facts.load.seconds[:5]:
        progress.second(second)
    progress.trial_ends(facts)

    assert "offering 20 users/s for 10 s" in text.getvalue()
    assert "200 scenarios due, 175 completed, 25 failed; of their requests, 450 succeeded" in text.getvalue()


def test_the_panel_shows_users_under_way():
    (trial,) = plan(read_spec(SPEC, source="shop.yaml"))
    now = Now.starting(trial, 1)
    second = scenario_trial(users()).load.seconds[4]
    text = io.StringIO()

    now.second(second)
    Console(file=text, width=100).print(panel(now))

    under_way = sum(runs.in_flight for runs in second.scenarios.values())
    assert f"{under_way} under way" in text.getvalue()
    assert "scenarios   20/s" in text.getvalue()
