"""A calibration is measured once for a host and its settings, and never taken for another's."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from runner.experiment.model import Load, Request
from runner.load.calibration_cache import cache_folder, calibrated, fingerprint


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def ask():
    said, pids = [], []

    async def calibrate(load, *rates):
        found = await calibrated(load, rates, on_spawn=pids.append, say=said.append)
        return found, said.copy(), len(pids)

    return calibrate


async def test_only_rates_that_are_not_known_yet_are_measured(ask):
    first, _, processes = await ask(Load(), 200, 100)
    again, said, same = await ask(Load(), 100)
    more, said_more, _ = await ask(Load(), 100, 300)

    assert [floor.target_rps for floor in first.floors] == [100, 200]
    assert again == first
    assert (said, same) == (["calibrating the builtin engine at 100, 200 RPS"], processes)
    assert said_more[1:] == ["calibrating the builtin engine at 300 RPS"]
    assert [floor.target_rps for floor in more.floors] == [100, 200, 300]


async def test_other_settings_are_calibrated_by_themselves():
    settings = [
        Load(),
        Load(connection="new"),
        Load(quantum="1ms"),
        Load(cpus=(0,)),
        Load(request=Request(path="/longer")),
        Load(engine="k6"),
    ]

    assert len({fingerprint(load) for load in settings}) == len(settings)


@pytest.mark.parametrize("damage", ["old", "cut", "strange", "gone"])
async def test_what_cannot_be_trusted_is_measured_again(ask, damage):
    await ask(Load(), 100)
    (kept,) = cache_folder().iterdir()
    content = json.loads(kept.read_text())
    if damage == "old":
        content["made_at"] = (datetime.now(UTC) - timedelta(days=2)).isoformat(timespec="seconds")
        kept.write_text(json.dumps(content))
    elif damage == "cut":
        kept.write_text(kept.read_text()[:40])
    elif damage == "strange":
        kept.write_text(json.dumps(content | {"floors": [{"made": "up"}]}))
    else:
        kept.unlink()

    _, said, _ = await ask(Load(), 100)

    assert len(said) == 2


async def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(ask, tmp_path):
    (tmp_path / "loadproof").write_text("a file where a folder should be")

    found, _, _ = await ask(Load(), 100)

    assert [floor.target_rps for floor in found.floors] == [100]


@pytest.mark.k6
async def test_k6_is_calibrated_against_the_same_responder(ask):
    found, _, _ = await ask(Load(engine="k6", connection="new"), 100)

    (floor,) = found.floors
    assert (found.engine, found.ceiling_rps) == ("k6", None)
    assert floor.achieved > 0.9
    assert 0 < floor.duration_ms["p50"] <= floor.duration_ms["p99"]
    assert floor.spacing.planned_gap_us == pytest.approx(10_000)
