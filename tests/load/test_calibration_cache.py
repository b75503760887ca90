"""A calibration is measured once for a host and its settings, and is never used for others."""

import json
import os
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import trio

from runner.cache import cache_folder
from runner.core.calibration_facts import Calibration
from runner.experiment.model import Load, Request
from runner.load.calibration_cache import fingerprint, load_or_measure_calibration

pytestmark = pytest.mark.usefixtures("preloaded_workers")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def calibration():
    """A function that returns a calibration, all sentences so far, and the number of processes started."""
    sentences, pids = [], []

    async def load_or_measure(load, *rates):
        loaded = await load_or_measure_calibration(load, rates, on_spawn=pids.append, say=sentences.append)
        return loaded, sentences.copy(), len(pids)

    return load_or_measure


@pytest.fixture(scope="module")
def cached(tmp_path_factory):
    """The cache's file of one calibration: its name and its content."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        trio.run(lambda: load_or_measure_calibration(Load(), [100], on_spawn=lambda _: None, say=print))
        (file,) = (cache_folder() / "calibration").iterdir()
        return file.name, file.read_text()


async def test_only_unknown_rates_are_measured(calibration):
    first, _, processes = await calibration(Load(), 200, 100)
    second, sentences, same = await calibration(Load(), 100)
    third, more_sentences, _ = await calibration(Load(), 100, 300)

    assert [floor.target_rps for floor in first.floors] == [100, 200]
    assert second == first
    assert (sentences, same) == (["calibrating the builtin engine at 100, 200 RPS"], processes)
    assert more_sentences[1:] == ["calibrating the builtin engine at 300 RPS"]
    assert [floor.target_rps for floor in third.floors] == [100, 200, 300]


async def test_each_setting_has_a_calibration_of_its_own():
    settings = [
        Load(),
        Load(connection="new"),
        Load(quantum="1ms"),
        Load(cpus=(0,)),
        Load(request=Request(path="/longer")),
        Load(engine="k6"),
    ]

    assert len({fingerprint(load) for load in settings}) == len(settings)


@pytest.mark.parametrize(
    "damage", ["old", "without a time zone", "truncated", "malformed", "missing", "a pipe"]
)
async def test_a_damaged_file_is_measured_again(calibration, cached, damage, monkeypatch):
    name, text = cached
    monkeypatch.setattr("runner.load.calibration_cache.calibrate", measures_at_once(text))
    file = cache_folder() / "calibration" / name
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert (await calibration(Load(), 100))[1] == []
    content = json.loads(text)
    if damage == "old":
        content["made_at"] = (datetime.now(UTC) - timedelta(days=2)).isoformat(timespec="seconds")
        file.write_text(json.dumps(content))
    elif damage == "without a time zone":
        file.write_text(json.dumps(content | {"made_at": "2999-01-01T00:00:00"}))
    elif damage == "truncated":
        file.write_text(file.read_text()[:40])
    elif damage == "malformed":
        file.write_text(json.dumps(content | {"floors": [{"made": "up"}]}))
    else:
        file.unlink()
        if damage == "a pipe":
            os.mkfifo(file)

    _, sentences, _ = await calibration(Load(), 100)

    assert sentences == ["calibrating the builtin engine at 100 RPS"]


def measures_at_once(text):
    """Return a measurement with the outcome of an earlier one, for tests of what is kept."""

    async def calibrate(_load, rates, *, on_spawn):
        calibration = msgspec.json.decode(text, type=Calibration)
        assert rates == [floor.target_rps for floor in calibration.floors]
        return calibration

    return calibrate


async def test_a_cache_that_is_not_writable_only_costs_time(calibration, cached, tmp_path, monkeypatch):
    monkeypatch.setattr("runner.load.calibration_cache.calibrate", measures_at_once(cached[1]))
    (tmp_path / "loadproof").write_text("a file where a folder should be")

    measured, _, _ = await calibration(Load(), 100)

    assert [floor.target_rps for floor in measured.floors] == [100]


@pytest.mark.k6
async def test_k6_is_calibrated_against_the_same_responder(calibration):
    measured, _, _ = await calibration(Load(engine="k6", connection="new"), 100)

    (floor,) = measured.floors
    assert (measured.engine, measured.ceiling_rps) == ("k6", None)
    assert floor.achieved > 0
    assert 0 < floor.duration_ms["p50"] <= floor.duration_ms["p99"]
    assert floor.spacing.planned_gap_us == pytest.approx(10_000)
