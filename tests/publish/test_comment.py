"""The comment says what matters first, is never too long, and nothing in it has power."""

import copy
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.errors import Problem, UsageError
from runner.publish.annotations import workflow_errors
from runner.publish.comment import Origin, check_identity, len_utf16, marker, render_comment
from runner.publish.difference import differences
from runner.publish.sanitize import plain, without_commands
from tests.analyze.facts import BUSY, HEALTHY, OVERLOADED, RUN, results_of

RESULTS = results_of(HEALTHY, BUSY, OVERLOADED, run=RUN)
for each in RESULTS["configurations"][0]["stages"]:
    each["thresholds"] = []
MOST = 65_536
BAD = {"status": "invalid", "reasons": ["the generator was late"]}
NASTY = "<img src=x onerror=alert(1)> | @team #1 !2 [x](http://evil.example) `a` **b** www.evil.example"


def judged(**thresholds) -> dict:
    results = copy.deepcopy(RESULTS)
    stage = results["configurations"][0]["stages"][0]
    stage["thresholds"] = [{"expr": expr, "ok": ok, "value": 1.5} for expr, ok in thresholds.items()]
    return results


def text_of(results, **more) -> str:
    return render_comment(results, **({"most": MOST} | more))


def test_the_marker_is_the_first_line_and_hidden():
    assert text_of(RESULTS).splitlines()[0] == marker(RESULTS) == "<!-- loadproof:comment shop -->"


def test_another_identity_makes_another_comment():
    assert text_of(RESULTS, identity="nightly").startswith("<!-- loadproof:comment nightly -->\n")
    with pytest.raises(UsageError):
        check_identity("--> <script>")


def test_verdict_and_thresholds_come_before_the_table_and_the_table_before_the_details():
    text = text_of(judged(**{"duration.p95 < 1ms": False, "errors < 1%": True}))

    assert "1 of 2 thresholds failed" in text.splitlines()[2]
    order = [
        "The highest rate shown", "`duration.p95 < 1ms`", "1 threshold passed", "| stage ",
        "<summary>Details", "What became of every request", "Where it ran", RUN.command, "<sub>",
    ]  # fmt: skip
    places = [text.index(each) for each in order]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda results: None, "📊 Shop: measured, no thresholds were set"),
        (lambda results: results["run"].update(status="aborted", signal="SIGINT"), "the run was aborted"),
        (
            lambda results: results["configurations"][0]["stages"][1]["validity"].update(BAD),
            "1 of 3 stages invalid",
        ),
    ],
    ids=["measured", "aborted", "invalid"],
)
def test_the_headline_says_how_it_went(change, says):
    results = copy.deepcopy(RESULTS)
    results["experiment"]["title"] = "Shop"
    change(results)

    assert says in text_of(results).splitlines()[2]


def test_thresholds_that_all_passed_are_folded():
    text = text_of(judged(**{"errors < 1%": True}))

    assert "✅" in text.splitlines()[2]
    assert text.index("<summary>1 threshold passed") < text.index("`errors < 1%`")


def test_the_footer_has_commit_run_link_and_command():
    text = text_of(RESULTS, origin=Origin("0123abc", "https://ci.example/run/1"))

    assert "commit 0123abc" in text
    assert "[report](https://ci.example/run/1)" in text
    assert f"```text\n{RUN.command}\n```" in text


def test_a_baseline_shows_before_after_and_change():
    results, baseline = copy.deepcopy(RESULTS), copy.deepcopy(RESULTS)
    results["configurations"][0]["stages"][0]["actual_rps"] = 100.0
    baseline["configurations"][0]["stages"][0]["actual_rps"] = 80.0
    baseline["run"]["id"] = "earlier"

    text = text_of(results, baseline=baseline)
    assert "80.0 → 100 (+25.0 %, **better**)" in text
    assert "a noise is assumed" in text


def test_a_baseline_of_another_host_or_specification_is_doubted():
    baseline = copy.deepcopy(RESULTS)
    baseline["environment"]["cpu_count"] = 64
    baseline["run"]["id"] = "earlier"
    baseline["experiment"]["spec_sha256"] = "f" * 64
    baseline["configurations"][0]["stages"][2]["name"] = "gone"

    section = differences(RESULTS, baseline)
    assert "specification (SHA-256) ffffffffffff → " in section
    assert "Unlike machines" in section.splitlines()[0]
    assert "cpu count 64 →" in section
    assert "Only in the base: shop, gone." in section
    assert "Only in the head: shop, " in section


def test_a_baseline_without_a_shared_stage_says_so():
    baseline = copy.deepcopy(RESULTS)
    baseline["configurations"][0]["name"] = "other"

    section = differences(RESULTS, baseline)
    assert section.startswith("Not compared: the runs have no stage in common")


def large(stages: int) -> dict:
    results = copy.deepcopy(RESULTS)
    stage = results["configurations"][0]["stages"][0]
    stage["thresholds"] = [
        {"expr": "errors < 1%", "ok": number % 2 == 0, "value": 0.5} for number in range(4)
    ]
    results["configurations"][0]["stages"] = [stage | {"name": f"stage {n}"} for n in range(stages)]
    return results


@pytest.mark.parametrize("stages", [1, 20, 60, 150, 2000])
def test_it_is_never_longer_than_it_may_be(stages):
    results = large(stages)
    text = text_of(results, baseline=results, origin=Origin("0123abc", "https://ci.example/1"))

    assert len_utf16(text) <= MOST
    assert "https://ci.example/1" in text
    assert text.count("<details>") == text.count("</details>")


def test_sections_are_dropped_whole_the_least_first_and_named():
    whole = text_of(large(20))
    less = text_of(large(20), most=len(whole) - 10, origin=Origin(link="https://ci.example/1"))

    assert "_Left out because a comment may not be longer: the environment" in less
    assert "See [the whole report](https://ci.example/1)._" in less
    assert "Where it ran" not in less
    assert "| stage " in less


def test_what_matters_most_is_left_when_there_is_room_for_little():
    text = text_of(large(2000), most=8_000)

    assert len(text) <= 8_000
    assert "thresholds failed" in text
    assert "report.md in the run’s folder" in text


def poisoned(value, text):
    """Every text of a run's results replaced, but for words that the reader checks."""
    words = {"name": None, "title": None, "objective": None, "message": None, "summary": None, "advice": None}
    if isinstance(value, dict):
        return {
            key: text if key in words and isinstance(each, str) else poisoned(each, text)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [text if isinstance(each, str) else poisoned(each, text) for each in value]
    return value


POWER = re.compile(
    r"(?<![\w`])[@#!]\w|(?<!\\)<(?! |/?(?:details|summary|sub)>|!-- loadproof)|://(?!\u200b)|www\.",
    re.IGNORECASE,
)


@pytest.mark.parametrize(
    "text", [NASTY, "/close", "\n/merge\n", "</details></summary><b>", "a\n\n# b\n- c", "--> x"]
)
def test_no_text_from_a_specification_has_power(text):
    results = poisoned(RESULTS, text)
    results["experiment"]["name"] = "shop"
    results["configurations"][0]["title"] = text
    comment = text_of(results, baseline=results)
    outside = re.sub(r"```text\n.*?\n```", "", comment, flags=re.DOTALL)

    assert POWER.findall(outside) == []
    assert not re.search(r"^\s*/", comment, re.MULTILINE)
    assert comment.count("<details>") == comment.count("</details>") > 1
    for block in re.findall(r"(?:^\|.*\n?)+", comment, flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.strip().splitlines()}) == 1


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80))
def test_any_title_leaves_the_comments_shape_alone(title):
    results = copy.deepcopy(RESULTS)
    results["experiment"]["title"] = title
    comment = text_of(results)

    assert comment.startswith("<!-- loadproof:comment shop -->\n\n### ")
    assert comment.count("<details>") == 3
    assert POWER.findall(comment.splitlines()[2]) == []


@given(st.text())
def test_a_harmless_text_looks_the_same(text):
    visible = re.sub(
        r"[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069]",
        "",
        text,
    )

    assert plain(text).replace("\u200b", "") == visible


@given(st.text(alphabet="/ \n\tab"))
def test_no_line_begins_with_a_command(text):
    assert not re.search(r"^\s*/", without_commands(text), re.MULTILINE)


def test_a_problem_becomes_an_annotation_at_its_place():
    problem = Problem(3, 5, "a[0]", "is 50% off,\nreally", "1:2")

    assert workflow_errors("a,b:c.yaml", [problem, Problem(None, None, "", "no file")]) == [
        "::error file=a%2Cb%3Ac.yaml,line=3,col=5,title=Specification%3A a[0]::is 50%25 off,%0Areally (1:2)",
        "::error file=a%2Cb%3Ac.yaml,title=Specification::no file",
    ]
