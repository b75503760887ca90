"""The verdicts of a comparison, what it refuses, and what it leaves out."""

from __future__ import annotations

import re
from random import Random

import msgspec
import pytest
from msgspec.structs import replace

from runner.analyze.comparison import compare
from runner.analyze.history import history
from runner.analyze.reason import Reason, judged
from runner.analyze.repeats import repeats
from runner.core.codes import DoubtCode, StageStatus, Unbounded, Validity
from runner.core.errors import UsageError
from runner.core.measured import Latency
from runner.core.observed_results import Usage
from runner.core.repeat_results import OutlierResult
from runner.core.system_facts import ProgramIdentity
from runner.report.comparison import brief_comparison, comparison_parts, render_comparison
from runner.report.history import render_history
from runner.report.page.comparison_page import comparison_html
from runner.report.repeats import repeats as repeats_section
from tests.analyze.stages import valid
from tests.analyze.systems import each_stage, run, stages, with_stages, worse
from tests.report import mixes


@pytest.fixture
def base():
    return run(Random(1), repeats=5)


@pytest.fixture
def head():
    return run(Random(2), repeats=5)


def metric(comparison, stage, name):
    compared = next(each for each in comparison.stages if each.stage == stage)
    return next(each for each in compared.metrics if each.name == name)


def environment(results, **facts):
    return replace(results, environment=results.environment | facts)


def renamed(results, name):
    (configuration,) = results.configurations
    return replace(results, configurations=(replace(configuration, name=name),))


def test_a_slower_head_is_worse_and_a_faster_one_better(base):
    slow = run(Random(3), repeats=5, slower=1.3)

    there, back = compare([base], [slow]), compare([slow], [base])

    assert there.verdict == "worse"
    assert back.verdict == "better"
    found = metric(there, "100 RPS", "duration_ms.p95")
    assert found.low < 0.3 < found.high
    assert found.basis == "repeats"
    assert found.n == (5, 5)


def test_higher_throughput_is_better_and_more_cpu_is_worse(base, head):
    changed = (
        replace(
            stage,
            actual_rps=stage.actual_rps * 1.2,
            cpu_cores={"app": Usage(stage.cpu_cores["app"].avg * 1.5, None)},
        )
        for stage in stages(head)
    )

    comparison = compare([base], [with_stages(head, *changed)])

    assert metric(comparison, "200 RPS", "actual_rps").verdict == "better"
    assert metric(comparison, "200 RPS", "cpu_cores.app").verdict == "worse"
    assert {found.name for _, found in worse(comparison)} == {"cpu_cores.app"}


def test_losses_are_compared_in_percentage_points(base, head):
    requests = stages(head)[0].requests
    failing = each_stage(head, requests=replace(requests, failed=requests.scheduled // 10))

    found = metric(compare([base], [failing]), "100 RPS", "lost")

    assert found.verdict == "worse"
    assert found.change == pytest.approx(0.1)


def test_a_larger_margin_accepts_a_small_change(base):
    slow = run(Random(3), repeats=5, slower=1.12)

    assert compare([base], [slow]).verdict == "worse"
    assert metric(compare([base], [slow], margin=0.3), "100 RPS", "duration_ms.p95").verdict == "equivalent"


def test_equal_systems_with_little_noise_are_equivalent():
    base, head = (run(Random(seed), repeats=5, scale=0.2) for seed in (4, 5))

    assert compare([base], [head]).verdict == "equivalent"


def test_single_runs_show_large_changes_only():
    base, slow, slower = (
        run(Random(seed), repeats=1, slower=factor) for seed, factor in enumerate((1.0, 1.3, 4.0))
    )

    assert compare([base], [slow]).verdict == "no difference shown"
    comparison = compare([base], [slower])
    assert metric(comparison, "100 RPS", "duration_ms.p95").verdict == "worse"
    assert metric(comparison, "100 RPS", "duration_ms.p95").basis == "assumed noise"
    assert "is assumed, and only large changes are detected" in render_comparison(comparison)


@pytest.mark.parametrize(("failed", "verdict"), [(0.001, "no difference shown"), (0.03, "worse")])
def test_a_single_run_shows_that_requests_began_to_fail(failed, verdict):
    base, head = (run(Random(seed), repeats=1) for seed in (1, 2))
    requests = replace(stages(head)[0].requests, scheduled=5000, failed=int(5000 * failed))

    found = metric(compare([base], [each_stage(head, requests=requests)]), "200 RPS", "lost")

    assert found.verdict in {verdict, "equivalent"} - ({"equivalent"} if verdict == "worse" else set())


def test_more_losses_than_requests_which_only_an_edited_file_names_are_compared():
    base, head = (run(Random(seed), repeats=1) for seed in (1, 2))
    requests = replace(stages(head)[0].requests, scheduled=10, failed=500)

    found = metric(compare([base], [each_stage(head, requests=requests)]), "200 RPS", "lost")

    assert (found.head, found.verdict) == (50, "worse")


def test_a_single_run_shows_that_a_rate_is_no_longer_sustained():
    base, head = (run(Random(seed), repeats=1) for seed in (1, 2))
    short = (replace(stage, actual_rps=stage.actual_rps * 0.92, achieved=0.92) for stage in stages(head))

    comparison = compare([base], [with_stages(head, *short)])

    assert metric(comparison, "200 RPS", "actual_rps").verdict == "worse"


def test_a_run_cannot_be_on_both_sides(base, head):
    with pytest.raises(UsageError, match="on both sides"):
        compare([base, head], [head])


def test_several_runs_of_one_stage_each_are_as_good_as_repeats(base):
    runs = [run(Random(seed), repeats=1) for seed in range(5)]
    slow = [run(Random(seed), repeats=1, slower=1.3) for seed in range(5, 10)]

    assert metric(compare(runs, slow), "300 RPS", "duration_ms.p95").verdict == "worse"
    found = metric(compare(runs, slow[:1]), "300 RPS", "duration_ms.p95")
    assert found.basis == "repeats of one side"


def test_of_one_disturbed_run_nothing_is_judged():
    base, head = (run(Random(seed), repeats=1, slower=factor) for seed, factor in ((1, 1.0), (2, 9.0)))
    head = each_stage(head, validity=valid("suspect", "other programs used 0.6 cores"))
    halved = (replace(stage, actual_rps=stage.actual_rps / 2) for stage in stages(head))

    comparison = compare([base], [with_stages(head, *halved)])

    assert metric(comparison, "100 RPS", "duration_ms.p95").verdict == "no difference shown"
    assert metric(comparison, "100 RPS", "actual_rps").verdict == "no difference shown"
    assert not metric(comparison, "100 RPS", "lost").judged
    assert comparison.verdict == "no difference shown"
    text = render_comparison(comparison)
    assert "other programs used 0.6 cores" in text
    assert "## 100 RPS: not judged" in text
    names = "100 RPS, 200 RPS, 300 RPS and 400 RPS"
    assert f"> Nothing can be called better or worse. **Not judged:** {names} are suspect" in text


def test_a_comparison_begins_with_what_changed():
    slow = [run(Random(seed), repeats=1, slower=4.0) for seed in range(5, 9)]
    comparison = compare([run(Random(seed), repeats=1) for seed in range(1, 5)], slow)

    first, details = comparison_parts(comparison)

    table = first.split("What changed beyond noise:")[1]
    changed = [one for stage in comparison.stages for one in stage.metrics if one.verdict == "worse"]
    assert len(changed) > 3
    assert table.count("| **worse**") == len(changed)
    assert f"and {len(changed) - 3} more change" in first, "the first sentence names only a few"
    assert "## Method" in details
    assert "##" not in first.removeprefix("# ")
    page = comparison_html(comparison)
    assert page.index("What changed beyond noise") < page.index("<details>") < page.index("Method</h2>")


def test_a_decrease_that_could_have_been_shown_is_below_the_increase():
    text = render_comparison(compare([run(Random(1), repeats=1)], [run(Random(2), repeats=1)]))

    for row in re.findall(r"^\| p95 Duration .*$", text, re.MULTILINE):
        low, high = (
            float(end.replace(",", "")) for end in re.findall(r"−([\d.]+) % or \+([\d.,]+) %", row)[0]
        )
        assert (1 - low / 100) * (1 + high / 100) == pytest.approx(1, abs=0.01)


def test_a_disturbed_last_run_has_no_verdict_in_the_history():
    runs = [run(Random(seed), repeats=1, slower=factor) for seed, factor in ((1, 1.0), (2, 9.0))]
    runs = [
        replace(one, run=replace(one.run, id=f"run-{day}", started_at=f"2026-01-0{day}T00:00:00+00:00"))
        for day, one in enumerate(runs, 1)
    ]
    runs[1] = each_stage(runs[1], validity=valid("suspect", "other programs used 0.6 cores"))

    found = history(runs, margin=0.05)

    assert {metric.verdict for stage in found.stages for metric in stage.metrics} == {None}
    assert {stage.suspect for stage in found.stages if stage.is_whole} == {(1,)}
    assert "Suspect in 1 of 2 runs: `run-2`." in render_history(found)


def test_users_who_wait_for_no_schedule_have_no_response_time_that_is_lost(base, head):
    nothing = Latency(unbounded={"p95": Unbounded.LOST})
    closed = [each_stage(side, users=5, response_time_ms=nothing) for side in (base, head)]

    text = render_comparison(compare(closed[:1], closed[1:]))

    assert "p95 Response Time" not in text
    assert "not judged" not in text


def test_different_machines_are_refused_without_force(base, head):
    head = environment(head, cpu_model="Another", cpu_count=64)

    with pytest.raises(UsageError) as refused:
        compare([base], [head])
    forced = compare([base], [head], force=True)

    assert any("cpu model: " in line and "Another" in line for line in refused.value.details)
    assert "--force" in refused.value.hint
    assert render_comparison(forced).index("Different machines") < render_comparison(forced).index("Base:")


def test_a_few_mib_of_memory_do_not_make_a_different_machine(base, head):
    head = environment(head, memory_mib=base.environment["memory_mib"] - 3)

    assert compare([base], [head]).unlike == ()


def test_other_differences_are_listed_first(base, head):
    (configuration,) = head.configurations
    configuration = replace(configuration, load=replace(configuration.load, max_in_flight=7))
    head = replace(
        environment(head, kernel="9.9.9"),
        experiment=replace(head.experiment, spec_sha256="f" * 64),
        configurations=(configuration,),
    )

    comparison = compare([base], [head])

    assert {each.what for each in comparison.changed} == {
        "kernel",
        "specification (SHA-256)",
        f"{configuration.name}: load.max in flight",
    }
    text = render_comparison(comparison)
    assert text.index("9.9.9") < text.index("## 100 RPS")


def with_program(results, **digests):
    (configuration,) = results.configurations
    programs = {"app": ProgramIdentity("python3", **digests)}
    topology = replace(configuration.topology, programs=programs)
    return replace(results, configurations=(replace(configuration, topology=topology),))


def test_the_same_program_is_named_by_what_identifies_it(base, head):
    digests = {"program": "a" * 64, "code": "b" * 64}
    comparison = compare([with_program(base, **digests)], [with_program(head, **digests)])

    sentence = "The same on both sides, by SHA-256: program and code of app."
    assert sentence in render_comparison(comparison)
    assert sentence in brief_comparison(comparison)


@pytest.mark.parametrize(
    "digests", [{"program": "a" * 64}, {"code": "b" * 64}, {"program": "c" * 64, "code": "b" * 64}]
)
def test_nothing_is_said_of_a_program_that_differs_or_is_not_known(base, head, digests):
    known = with_program(base, program="a" * 64, code="b" * 64)

    assert compare([known], [with_program(head, **digests)]).same == ()
    assert compare([with_program(base, code="b")], [with_program(head, code="b")]).same == ()
    assert compare([base], [head]).same == ()


def test_different_or_unusable_stages_are_left_out_and_named(base, head):
    changes = {
        "100 RPS": {"target_rps": 150},
        "200 RPS": {"validity": valid("invalid", "a worker died")},
        "300 RPS": {"name": "new"},
        "400 RPS": {},
    }

    comparison = compare(
        [base], [with_stages(head, *(replace(stage, **changes[stage.name]) for stage in stages(head)))]
    )
    text = render_comparison(comparison)

    assert [stage.stage for stage in comparison.stages] == ["400 RPS"]
    for said in ("rate 100 → 150", "a worker died", "Only in the head: ", "Only in the base: "):
        assert said in text


def test_runs_without_a_common_stage_are_refused(base, head):
    with pytest.raises(UsageError, match="no usable stage in common"):
        compare([base], [renamed(head, "other")])


def test_the_brief_form_has_a_row_for_each_stage_and_the_verdict_first(base):
    slow = run(Random(3), repeats=5, slower=1.3)

    text = brief_comparison(compare([base], [slow]))

    assert text.startswith("**Head is worse.**")
    assert text.count("**worse** |") == 4


def test_markup_in_results_is_escaped(base, head):
    base, head = (renamed(results, "<b>|x|</b>") for results in (base, head))
    head = environment(head, kernel="<script>|")

    for text in (render_comparison(compare([base], [head])), brief_comparison(compare([base], [head]))):
        assert "<script>" not in text
        assert "<b>" not in text


def test_repeats_have_a_median_an_interval_and_their_outliers(base):
    third = stages(base)[8]
    third = replace(third, duration_ms=replace(third.duration_ms, p95=100.0))
    every = [*stages(base)[:8], third, *stages(base)[9:]]

    found = next(each for each in repeats(every) if each.stage == third.name)

    p95 = found.metrics["duration_ms.p95"]
    assert found.n == 5
    assert 9 < p95.low <= p95.median < 11
    assert p95.high == 100.0
    assert p95.outliers == (OutlierResult(third.order, 100.0),)


def test_a_failed_repeat_is_left_out_and_named(base):
    failed = replace(stages(base)[4], validity=valid("invalid", "a worker died"))
    every = (*stages(base)[:4], failed, *stages(base)[5:])
    configuration = replace(base.configurations[0], stages=every, repeats=repeats(every))

    section = repeats_section(configuration)

    assert configuration.repeats[0].n == 4
    assert "repeat 2 could not be used" in section.lines[0]


def test_stages_without_repeats_have_no_summary():
    assert repeats(stages(run(Random(1), repeats=1))) == ()


def test_a_history_is_ordered_by_time_and_judges_the_last_run():
    runs = []
    for number in range(6):
        results = run(Random(number), repeats=1, slower=1.5 if number == 5 else 1.0)
        started_at = f"2026-01-0{number + 1}T00:00:00+00:00"
        identity = replace(results.run, started_at=started_at, id=f"run-{number}")
        runs.append(replace(results, run=identity))
    runs[0] = environment(runs[0], cpu_model="Another")

    found = history([*runs[3:], *runs[:3]], margin=0.05)

    assert [each.id for each in found.runs] == [f"run-{n}" for n in range(1, 6)]
    assert found.unlike == ("run-0",)
    p95 = next(each for each in found.stages[0].metrics if each.name == "duration_ms.p95")
    assert p95.verdict == "worse"
    assert len(p95.values) == 5
    text = render_history(found)
    assert "**worse**" in text
    assert "`run-0`" in text


def test_a_history_shows_gaps_for_runs_without_a_value():
    runs = [run(Random(n), repeats=1) for n in range(3)]
    first, *others = stages(runs[1])
    runs[1] = with_stages(runs[1], replace(first, status=StageStatus.ABORTED), *others)

    found = history(runs, margin=0.05)

    assert found.stages[0].metrics[0].values.count(None) == 1
    assert render_history(found)


def mixed(results, slower=1.0, weights=mixes.SHOP):
    """The same results as of a mix of requests, of which `order` is slower by a factor."""
    changed = []
    for stage in stages(results):
        divided = mixes.with_parts(stage, weights)
        order = divided.parts["order"]
        p95 = order.duration_ms.p95 * slower
        parts = divided.parts | {"order": replace(order, duration_ms=replace(order.duration_ms, p95=p95))}
        changed.append(replace(divided, parts=parts))
    return with_stages(results, *changed)


def of_request(found, name):
    return [each for each in found.stages if each.request == name]


def test_a_request_that_got_slower_is_found_though_its_stage_is_equal(base, head):
    comparison = compare([mixed(base)], [mixed(head, slower=1.5)])

    assert {each.verdict for each in of_request(comparison, "order")} == {"worse"}
    others = {each.verdict for each in comparison.stages if each.request != "order"}
    assert "worse" not in others
    assert {found.name for _, found in worse(comparison)} == {"duration_ms.p95"}


def test_the_requests_of_a_mix_cost_the_stage_little_precision(base, head):
    alone, of_mix = compare([base], [head]), compare([mixed(base)], [mixed(head)])

    for stage in ("100 RPS", "200 RPS"):
        detectable = [metric(found, stage, "duration_ms.p95").detectable for found in (alone, of_mix)]
        assert detectable[0] < detectable[1] < 1.3 * detectable[0]


def test_a_single_run_with_few_requests_of_a_kind_shows_less():
    base, head = (mixed(run(Random(n), repeats=1), weights={"search": 999, "order": 1}) for n in (1, 2))

    comparison = compare([base], [head])

    rare, frequent = (
        next(found for found in of_request(comparison, name)[0].metrics if found.name == "actual_rps")
        for name in ("order", "search")
    )
    assert rare.detectable > 2 * frequent.detectable


def test_stages_with_other_shares_are_not_the_same_stage(base, head):
    other = mixed(head, weights={**mixes.SHOP, "order": 20, "pay": 5})

    with pytest.raises(UsageError) as refused:
        compare([mixed(base)], [other])

    assert any(
        "rate of order 5.0 → " in line and "rate of pay none → " in line for line in refused.value.details
    )


def test_the_report_lists_every_request_and_the_brief_form_only_those_that_changed(base, head):
    comparison = compare([mixed(base)], [mixed(head, slower=1.5)])

    text, brief = render_comparison(comparison), brief_comparison(comparison)

    assert text.count("By request:") == 4
    assert text.count("| search ") == 4
    assert "search" not in brief
    assert brief.count("RPS, order ") == 4
    assert "Left out: 12 results of single requests without a change." in brief
    assert "100 RPS, order: p95 Duration (ms) +" in brief


def test_a_comparison_without_a_mix_names_no_request(base, head):
    assert b"request" not in msgspec.json.encode(compare([base], [head]).stages)


def test_a_history_follows_each_request_of_a_mix():
    runs = []
    for number in range(6):
        results = mixed(run(Random(number), repeats=1), slower=3.0 if number == 5 else 1.0)
        started_at = f"2026-01-0{number + 1}T00:00:00+00:00"
        runs.append(replace(results, run=replace(results.run, started_at=started_at, id=f"run-{number}")))

    found = history(runs, margin=0.05)

    order = of_request(found, "order")[0]
    p95 = next(each for each in order.metrics if each.name == "duration_ms.p95")
    assert (p95.verdict, len(p95.values)) == ("worse", 6)
    whole = next(each for each in found.stages[0].metrics if each.name == "duration_ms.p95")
    assert whole.verdict != "worse"
    assert render_history(found).count("| order ") == 3 * 4


def lossy(results, of=lambda stage: True):
    """The same results with p95 and p99 among failed requests, in some stages."""
    lost = dict.fromkeys(("p95", "p99"), Unbounded.LOST)
    return with_stages(
        results,
        *(
            replace(stage, duration_ms=replace(stage.duration_ms, p95=None, p99=None, unbounded=lost))
            if of(stage)
            else stage
            for stage in stages(results)
        ),
    )


def test_repeats_without_a_finite_percentile_say_so(base):
    """The median is finite if most repeats are; then only the interval's upper end is not."""
    whole, second = lossy(base), lossy(base, lambda stage: stage.repeat == 2)
    cells = []
    for results in (whole, second):
        every = stages(results)
        configuration = replace(results.configurations[0], stages=every, repeats=repeats(every))
        cells.append(repeats_section(configuration).table)

    assert cells[0].count(" no finite value |") == 4 * 2
    assert cells[1].count(" to ∞) |") == 4 * 2
    assert "not measured" not in cells[0] + cells[1]


def test_a_history_counts_repeats_without_a_finite_percentile_as_infinite_and_says_so():
    mostly = lossy(run(Random(1), repeats=3), lambda stage: stage.repeat > 1)
    partly = lossy(run(Random(2), repeats=3), lambda stage: stage.repeat == 3)
    times = {f"run-{n}": f"2026-01-0{n + 1}T00:00:00+00:00" for n in range(3)}
    runs = [
        replace(results, run=replace(results.run, id=name, started_at=time))
        for results, (name, time) in zip((partly, partly, mostly), times.items(), strict=True)
    ]

    found = history(runs, margin=0.05)

    p95 = next(each for each in found.stages[0].metrics if each.name == "duration_ms.p95")
    assert (p95.last, p95.unbounded) == (None, (2,))
    assert p95.values[0] == max(
        stage.duration_ms.p95 for stage in stages(partly) if stage.name == "100 RPS" and stage.repeat < 3
    )
    row = next(line for line in render_history(found).split("\n") if line.startswith("| p95 Duration"))
    assert row.split(" | ")[3] == row.split(" | ")[5] == "no finite value"
    assert "not measured" not in row


def test_stages_that_are_suspect_for_a_reason_with_other_figures_are_one_line(base, head):
    def late(stage):
        reason = Reason(DoubtCode.GENERATOR_LATE, f"the generator was {stage.repeat}.5 ms late", ("p95",))
        return replace(stage, validity=judged(Validity.SUSPECT, [reason])) if stage.repeat < 3 else stage

    text = render_comparison(compare([base], [with_stages(head, *map(late, stages(head)))]))

    assert text.count("the generator was") == 1
    assert "the generator was 1.5 ms late. The figures are those of the first." in text


def test_suspect_stages_are_named_with_their_repeats(base, head):
    doubtful = (
        replace(stage, validity=valid("suspect", "late")) if stage.repeat in {2, 3} else stage
        for stage in stages(head)
    )

    text = render_comparison(compare([base], [with_stages(head, *doubtful)]))

    named = ", ".join(f"single-process, {rps} RPS, repeat 2 (head)" for rps in (100, 200, 300, 400))
    assert f"- {named} and 4 more stages are suspect: late." in text
