"""Charts are drawn in a process of their own: its end costs the charts and nothing else."""

import math
import signal

import pytest

from runner.report.charts.chart import Chart
from runner.report.charts.render import charts
from runner.store import chart_process
from runner.store.chart_process import draw
from runner.store.rendered_files import rendered
from tests.report.stored_results import stored


def bars(name: str, *labels: object, title: str = "A title") -> Chart:
    encoding = {"x": {"field": "n", "type": "quantitative"}, "y": {"field": "label", "type": "nominal"}}
    rows = [{"n": number, "label": label} for number, label in enumerate(labels, start=1)]
    return Chart(name, title, "b", {"data": {"values": rows}, "mark": "bar", "encoding": encoding})


def test_every_chart_is_drawn_light_and_dark():
    drawn = draw([bars("one", "a"), bars("two", "b")])

    assert list(drawn) == ["one", "two"]
    alt, light, dark = drawn["one"]
    assert alt == "A title. b."
    assert light.startswith(b"<svg")
    assert light != dark


@pytest.mark.parametrize("title", ["a\0b", "\0"])
def test_a_name_that_aborts_the_library_costs_the_charts_and_nothing_else(title):
    drawn = draw([bars("before", "a"), bars("nul", "x\0y", title=title), bars("after", "b")])

    assert set(drawn) <= {"before", "after", "nul"}
    assert "before" in drawn


@pytest.mark.parametrize(
    "label", ["\ud800", "a\udfff", 1e308, -1e308, 5e-324, "\x07\x1b[31m", "\uffff", "x" * 2_000]
)
def test_no_label_ends_the_process(label):
    assert "good" in draw([bars("good", "a"), bars("odd", label)])


def test_a_number_that_is_none_costs_the_charts():
    assert draw([bars("bad", math.inf)]) == {}


@pytest.mark.parametrize("reason", ["timeout", "no python", "memory"])
def test_a_child_that_hangs_or_cannot_be_started_costs_the_charts(monkeypatch, tmp_path, reason):
    if reason == "timeout":
        monkeypatch.setattr(chart_process, "_TIMEOUT_S", 0.01)
    elif reason == "no python":
        monkeypatch.setattr("sys.executable", str(tmp_path / "none"))
    else:
        monkeypatch.setattr("runner.store.chart_worker._MAX_MEMORY_BYTES", 1)
        monkeypatch.setattr(chart_process, "_WORKER", "tests.store.no_memory")
    assert draw([bars("one", "a")]) == {}


def test_a_fault_while_charts_are_drawn_in_the_background_reaches_the_caller(monkeypatch):
    def fail(charts):
        raise RuntimeError(f"{len(charts)} charts")

    monkeypatch.setattr(chart_process, "draw", fail)

    with pytest.raises(RuntimeError, match="1 charts"):
        chart_process.begin_drawing([bars("one", "a")]).result()


def test_a_report_without_its_charts_is_complete(monkeypatch):
    results = stored("quickstart")
    assert charts(results)
    monkeypatch.setattr(chart_process, "_TIMEOUT_S", 0.01)

    files = rendered(results)

    assert set(files) == {"report.md", "report.html"}
    assert b"![" not in files["report.md"]


def test_charts_of_a_prepared_process_are_the_same():
    chart_process.prepare()
    (child,) = chart_process._early

    drawn = draw([bars("one", "a")])

    assert drawn == draw([bars("one", "a")])
    assert child.returncode == 0
    assert chart_process._early == []


def test_a_prepared_process_that_draws_nothing_ends():
    chart_process.prepare()
    (child,) = chart_process._early

    chart_process.discard()

    assert child.returncode == -signal.SIGKILL
    assert chart_process._early == []
