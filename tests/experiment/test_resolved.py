"""A resolved specification reads back as the same experiment."""

from pathlib import Path

import pytest

from runner.experiment.load import read_spec
from runner.experiment.resolved import resolved_text

EXPERIMENTS = sorted(Path("experiments").glob("*.yaml"))
ODD = b"""
version: 1
name: odd
topology:
  kind: docker
  app:
    image: "5e3"
    port: 8080
    memory: 100kB
    env: {PLAIN: 1.10, FLAG: true, NOTHING: "null", TIME: "1:30", EMPTY: "", MANY: "a\\nb"}
    ready_within: 1500ms
load:
  timeout: 250us
  quantum: 0
  request: {method: POST, path: /a, headers: {X-Number: "010"}, body: "yes"}
stages:
  - {rps: 0.5, duration: 10s}
  - {find: {max_rps: 100, until: ["response_time.p95 < 50ms"]}, duration: 2m}
matrix:
  load.connection: [new, keep-alive]
"""


def check_round_trip(text: bytes, overrides: tuple[str, ...] = ()) -> None:
    experiment = read_spec(text, source="first", overrides=overrides)

    reread = read_spec(resolved_text(experiment).encode(), source="resolved")

    assert reread == experiment.model_copy(update={"matrix": {}})


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_example_reads_back_as_the_same_experiment(path: Path) -> None:
    check_round_trip(path.read_bytes())


def test_text_that_looks_like_numbers_times_and_sizes_stays_text() -> None:
    check_round_trip(ODD.replace(b"100kB", b"10000kB").replace(b"250us", b"1500us"))


def test_overrides_are_included() -> None:
    text = Path("experiments/quickstart.yaml").read_bytes()
    experiment = read_spec(text, source="first", overrides=["cooldown=7s"])

    assert "cooldown: 7s" in resolved_text(experiment)
    check_round_trip(text, ("cooldown=7s", "load.max_in_flight=3"))
