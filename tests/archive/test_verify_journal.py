"""What the specification determines cannot be changed in the journal, even if all the rest is made to fit."""

import json

import msgspec
import pytest

from runner.archive.files import DERIVED, derived
from runner.archive.verify import verify
from runner.store.journal import parse
from runner.store.reanalyze import reanalyze_files
from runner.store.rendered_files import rendered
from runner.store.results_file import encode_results
from runner.store.run_names import MARKDOWN


def fitted(files, lines) -> dict[str, bytes]:
    """The archive of someone who changes the journal, and makes all other files from it."""
    journal = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
    changed = {name: content for name, content in files.items() if name not in DERIVED}
    changed["journal.ndjson"] = journal
    results = reanalyze_files(changed, where="").results
    changed["results.json"] = encode_results(results)
    changed |= {name: content for name, content in rendered(results).items() if name in files}
    assert MARKDOWN in changed
    return changed | derived(changed, results, "")


def lines_of(files) -> list[dict]:
    return [json.loads(line) for line in files["journal.ndjson"].splitlines()]


CHANGES = {
    "target_rps": (lambda line: line["trial"].update(target_rps=3900.0), "trial.target_rps is 3900.0, but"),
    "window_s": (lambda line: line["trial"].update(window_s=9.0), "trial.window_s is 9.0, but"),
    "warmup_s": (lambda line: line["trial"].update(warmup_s=0.5), "trial.warmup_s is 0.5, but"),
    "stage": (lambda line: line["trial"].update(stage="easy"), "trial.stage is 'easy', but"),
    "configuration": (lambda line: line["trial"].update(configuration="x"), "trial.configuration is"),
    "repeat": (lambda line: line["trial"].update(repeat=2), "trial.repeat is 2, but"),
    "proves": (lambda line: line["trial"].update(proves=0), "trial.proves is 0, but"),
    "change": (lambda line: line["trial"].update(change="quota"), "trial.change is 'quota', but"),
    "engine": (lambda line: line["trial"]["load"].update(engine="k6"), "trial.load.engine is 'k6', but"),
    "kind": (lambda line: line["trial"]["topology"].update(kind="process"), "trial.topology.kind"),
    "replicas": (lambda line: line["trial"]["topology"].update(replicas=1), "trial.topology.replicas is 1"),
    "health": (lambda line: line["trial"]["topology"].update(health="/x"), "trial.topology.health is '/x'"),
    "names": (lambda line: line["trial"]["topology"].update(env_names=["X"]), "trial.topology.env_names"),
    "overrides": (lambda line: line["run"].update(overrides=["name=x"]), "run.overrides is not"),
    "another run": (lambda line: line["run"].update(run_id="x"), "run.run_id is not that of run.json"),
    "another start": (lambda line: line["run"].update(started_at="2020"), "run.started_at"),
    "another host": (lambda line: line["run"]["environment"].update(cpu_count=64), "run.environment is not"),
    "an aborted run": (lambda line: line["run"].update(status="aborted"), "run.status is not"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "says"), CHANGES.values(), ids=CHANGES)
def test_a_field_that_the_specification_or_the_run_file_determines_is_compared(
    files, change, says, monkeypatch
):
    monkeypatch.setattr("runner.archive.verify_charts.draw", lambda _charts: {})  # of other charts each time
    lines = lines_of(files)
    change(lines[0])

    found = verify(fitted(files, lines), "run.zip")

    assert f"journal.ndjson, line 1: {says}" in "\n".join(found.wrong)


def test_a_journal_that_is_made_to_fit_is_told_from_a_real_one_by_nothing_else(files):
    found = verify(fitted(files, lines_of(files)), "run.zip")

    assert (found.wrong, found.explained) == ((), ())


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line["trial"].update(note="certified"),
        lambda line: line["trial"]["load"].update(bonus=1),
        lambda line: line["run"]["environment"].update(zzz="x") or line.update(more={}),
    ],
)
def test_a_field_that_no_run_writes_is_detected(files, change):
    lines = lines_of(files)
    change(lines[0])

    found = verify(fitted(files, lines), "run.zip")

    assert "line 1: it has a field, an order or a format that no run writes" in "\n".join(found.explained)


def test_a_key_that_occurs_twice_is_detected(files):
    twice = files["journal.ndjson"].replace(b'"window_s":', b'"window_s":1.0,"window_s":', 1)

    assert "line 1: it has a field" in "\n".join(verify(files | {"journal.ndjson": twice}, "r").explained)


def test_a_trial_that_is_not_in_the_plan_is_named(files):
    lines = lines_of(files)
    lines.append(json.loads(json.dumps(lines[0])))
    lines[-1]["trial"]["order"] = 99

    found = verify(fitted(files, lines), "run.zip")

    assert f"line {len(lines)}: the plan has no trial 99" in "\n".join(found.explained)


def test_a_trial_that_was_run_again_is_named_as_not_verified(files):
    lines = lines_of(files)

    found = verify(fitted(files, [lines[0], *lines]), "run.zip")

    assert found.wrong == ()
    assert "journal.ndjson, line 1: a trial that was run again later" in found.unverified


def test_a_last_line_that_was_cut_off_is_named(files):
    cut = files["journal.ndjson"] + files["journal.ndjson"][:300]

    found = verify(files | {"journal.ndjson": cut}, "run.zip")

    assert f"line {len(parse(cut, 'j')) + 1} is incomplete" in "\n".join(found.explained)


def test_a_field_of_the_run_file_that_no_run_writes_is_detected(files):
    run = json.loads(files["run.json"]) | {"certified": True}

    found = verify(files | {"run.json": json.dumps(run, indent=1).encode() + b"\n"}, "run.zip")

    assert "run.json has a field, an order or a format that no run writes" in found.explained
