"""The comment shows what matters first, is never too long, and nothing in it acts on the platform."""

import copy
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from runner.core.errors import Problem, UsageError
from runner.core.results import Results
from runner.publish.annotations import workflow_errors
from runner.publish.comment import Draft, Origin, check_identity, len_utf16, marker
from runner.publish.difference import differences
from runner.publish.sanitize import sanitized, without_commands
from runner.store.results_file import encode_results, parse_results
from tests.analyze.facts import BUSY, HEALTHY, OVERLOADED, RUN, results_of
from tests.report import mixes
from tests.store.results_places import documents, with_text

RESULTS = json.loads(encode_results(results_of(HEALTHY, BUSY, OVERLOADED, run=RUN)))
for stage in RESULTS["configurations"][0]["stages"]:
    stage["thresholds"] = []
MAX_LENGTH = 65_536
BAD = {"status": "invalid", "reasons": ["the generator was late"]}
NASTY = "<img src=x onerror=alert(1)> | @team #1 !2 [x](http://evil.example) `a` **b** www.evil.example"


def judged(**thresholds) -> dict:
    results = copy.deepcopy(RESULTS)
    stage = results["configurations"][0]["stages"][0]
    stage["thresholds"] = [{"expr": expr, "ok": ok, "value": 1.5} for expr, ok in thresholds.items()]
    return results


def typed(results: dict) -> Results:
    return parse_results(json.dumps(results).encode(), Path("results.json"))


def text_of(results, baseline=None, max_length=MAX_LENGTH, **more) -> str:
    return Draft(typed(results), typed(baseline) if baseline else None, **more).render(max_length)


def test_the_marker_is_the_first_line_and_hidden():
    assert text_of(RESULTS).splitlines()[0] == marker(typed(RESULTS)) == "<!-- loadproof:comment shop -->"


def test_another_identity_makes_another_comment():
    assert text_of(RESULTS, identity="nightly").startswith("<!-- loadproof:comment nightly -->\n")
    with pytest.raises(UsageError):
        check_identity("--> <script>")


def test_verdict_and_thresholds_come_before_the_table_and_the_table_before_the_details():
    text = text_of(judged(**{"duration.p95 < 1ms": False, "errors < 1%": True}))

    assert "1 of 2 thresholds failed" in text.splitlines()[2]
    order = [
        "The highest sustained rate", "`duration.p95 < 1ms`", "1 threshold passed", "| stage ",
        "<summary>Details", "Request outcomes", "<summary>Environment", RUN.command, "<sub>",
    ]  # fmt: skip
    positions = [text.index(part) for part in order]
    assert positions == sorted(positions)


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
def test_the_headline_shows_the_outcome(change, says):
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
    assert "80 → 100 (+25.0 %, **better**)" in text
    assert "noise is assumed" in text


def test_a_baseline_of_another_host_or_specification_has_a_warning():
    baseline = copy.deepcopy(RESULTS)
    baseline["environment"]["cpu_count"] = 64
    baseline["run"]["id"] = "earlier"
    baseline["experiment"]["spec_sha256"] = "f" * 64
    baseline["configurations"][0]["stages"][2]["name"] = "gone"

    section = differences(typed(RESULTS), typed(baseline))
    assert "specification (SHA-256) ffffffffffff → " in section
    assert "Different machines" in section.splitlines()[0]
    assert "cpu count 64 →" in section
    assert "Only in the base: shop, gone." in section
    assert "Only in the head: shop, " in section


def test_a_baseline_without_a_shared_stage_is_not_compared():
    baseline = copy.deepcopy(RESULTS)
    baseline["configurations"][0]["name"] = "other"

    section = differences(typed(RESULTS), typed(baseline))
    assert section.startswith("Not compared: the runs have no usable stage in common")


def large(stages: int) -> dict:
    results = copy.deepcopy(RESULTS)
    stage = results["configurations"][0]["stages"][0]
    stage["thresholds"] = [
        {"expr": "errors < 1%", "ok": number % 2 == 0, "value": 0.5} for number in range(4)
    ]
    results["configurations"][0]["stages"] = [stage | {"name": f"stage {n}"} for n in range(stages)]
    return results


@pytest.mark.parametrize("stages", [1, 20, 60, 150, 2000])
def test_it_is_never_longer_than_allowed(stages):
    results = large(stages)
    text = text_of(results, baseline=results, origin=Origin("0123abc", "https://ci.example/1"))

    assert len_utf16(text) <= MAX_LENGTH
    assert "https://ci.example/1" in text
    assert text.count("<details>") == text.count("</details>")


def test_whole_sections_are_left_out_and_named_the_least_important_first():
    whole = text_of(large(20))
    less = text_of(large(20), max_length=len(whole) - 10, origin=Origin(link="https://ci.example/1"))

    assert "_Left out to keep the comment short enough: the environment" in less
    assert "See [the complete report](https://ci.example/1)._" in less
    assert "<summary>Environment" not in less
    assert "| stage " in less


def test_the_most_important_sections_remain_in_a_short_comment():
    text = text_of(large(2000), max_length=8_000)

    assert len(text) <= 8_000
    assert "the threshold failed" in text
    assert "report.md in the run’s folder" in text


REFERENCE = re.compile(r"(?<![\w`])[@#!$%~]\w|&\d|\bGH-\d|://|\bwww\.", re.IGNORECASE)
OUR_HTML = re.compile(r"</?(?:details|summary|sub)>|<!-- loadproof:comment [\w.-]+ -->")
MARKDOWN = MarkdownIt("commonmark").enable("table")


def acts(comment: str) -> list[str]:
    """What in a comment is HTML or a link, and what a platform looks for in its rendered text."""
    found = []
    for token in MARKDOWN.parse(comment):
        for part in token.children or [token]:
            if part.type in {"html_block", "html_inline"}:
                rest = OUR_HTML.sub("", part.content)
                found += re.findall(r"<|>", rest) + REFERENCE.findall(rest)
            elif part.type in {"link_open", "image"}:
                found.append(str(part.attrs))
            elif part.type in {"text", "text_special"}:
                found += REFERENCE.findall(part.content)
    return found


TEXTS = [NASTY, "/close", "\n/merge\n", "</details></summary><b>", "a\n\n# b\n- c", "--> x", "&lt;b&#x3e; &1"]


@pytest.mark.parametrize("number", range(len(documents())))
@pytest.mark.parametrize("text", TEXTS)
def test_no_text_of_the_results_acts_on_the_platform(text, number):
    results = with_text(number, text)
    comment = text_of(results, baseline=results, max_length=1_000_000)
    outside = re.sub(r"```text\n.*?\n```", "", comment, flags=re.DOTALL)

    assert acts(comment) == []
    assert not re.search(r"^\s*/", comment, re.MULTILINE)
    assert re.sub(r"`.*?`", "", outside).count("<details>") > 1
    for block in re.findall(r"(?:^\|.*\n?)+", comment, flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.strip().splitlines()}) == 1


def test_the_check_finds_what_acts_on_the_platform():
    for text in (
        "<b>",
        "[x](http://evil.example)",
        "<http://a.example>",
        "@team",
        "a #1",
        "GH-1",
        "www.x",
        "\\@a",
    ):
        assert acts(f"text {text}\n"), text


@given(st.text(max_size=80))
def test_no_title_changes_the_structure_of_the_comment(title):
    results = copy.deepcopy(RESULTS)
    results["experiment"]["title"] = title
    comment = text_of(results)

    assert comment.startswith("<!-- loadproof:comment shop -->\n\n### ")
    assert comment.count("<details>") == 3
    assert acts(comment) == []


@given(st.text())
def test_a_sanitized_text_looks_the_same(text):
    visible = re.sub(
        r"[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069]",
        "",
        text,
    )

    assert sanitized(text).replace("\u200b", "") == visible


@given(st.text(alphabet="/ \n\tab"))
def test_no_line_begins_with_a_command(text):
    assert not re.search(r"^\s*/", without_commands(text), re.MULTILINE)


def test_a_problem_becomes_an_annotation_at_its_place():
    problem = Problem(3, 5, "a[0]", "is 50% off,\nreally", "1:2")

    assert workflow_errors("a,b:c.yaml", [problem, Problem(None, None, "", "no file")]) == [
        "::error file=a%2Cb%3Ac.yaml,line=3,col=5,title=Specification%3A a[0]::is 50%25 off,%0Areally (1:2)",
        "::error file=a%2Cb%3Ac.yaml,title=Specification::no file",
    ]


def test_the_results_of_a_mix_are_folded_and_among_what_is_left_out_first():
    results = mixes.mix(lossy="order")
    draft = Draft(results)

    text = draft.render(MAX_LENGTH)
    section = text.partition("<summary>Results by request</summary>")[2].partition("</details>")[0]
    assert section.count("`order`") == 4 + 4
    short = draft.render(len_utf16(text) - 3000)
    assert "<summary>Results by request</summary>" in short or "requests of " in short


def test_a_comment_on_a_run_without_a_mix_has_no_results_by_request():
    assert "by request" not in text_of(RESULTS)
