"""A manifest that matches proves nothing: every number must follow from the data."""

import json

import pytest

from runner.archive import lock
from runner.archive.files import DERIVED
from runner.archive.manifest import MANIFEST
from runner.archive.pack import pack
from runner.archive.provenance import json_file
from runner.archive.rerun import checked
from runner.archive.tree_difference import is_conclusion as is_conclusion_at
from runner.archive.verify import verify
from runner.core.errors import ArchiveDamaged


def results(files, change) -> bytes:
    found = json.loads(files["results.json"])
    change(found)
    return json.dumps(found, indent=1, ensure_ascii=False).encode() + b"\n"


def stage_of(found):
    return found["configurations"][0]["stages"][0]


def test_a_real_run_follows_from_its_journal(files):
    found = verify(files, "run.zip")

    assert (found.wrong, found.explained) == ((), ())
    assert found.unverified == (
        "journal.ndjson: what was measured, when, and on which system; all numbers are computed from it",
        "run.json: when, where and how the run was started and how it ended",
        "software.json: the versions of Loadproof and its packages",
    )


MADE_UP = {
    "a number is better than the data": (
        lambda found: stage_of(found)["duration_ms"].update(p95=0.1),
        "results.json: configurations[0].stages[0].duration_ms.p95 is 0.1, but the data give",
    ),
    "a verdict is another": (
        lambda found: stage_of(found)["verdict"].update(code="within-capacity", confidence="proven"),
        "verdict.confidence",
    ),
    "a number was added": (
        lambda found: stage_of(found).update(bonus=1),
        "bonus is 1, which does not follow from the data",
    ),
    "a number was taken away": (lambda found: stage_of(found).pop("actual_rps"), "actual_rps is missing"),
    "a stage was taken away": (lambda found: found["configurations"][0]["stages"].clear(), "stages is []"),
    "another run's id": (lambda found: found["run"].update(id="another"), 'run.id is "another"'),
    "a whole number for a broken one": (
        lambda found: stage_of(found).update(warmup_s=int(stage_of(found)["warmup_s"])),
        "warmup_s",
    ),
}


@pytest.mark.parametrize(("change", "says"), MADE_UP.values(), ids=MADE_UP)
def test_a_number_that_does_not_follow_is_named(files, change, says):
    found = verify(files | {"results.json": results(files, change)}, "run.zip")

    assert says in "\n".join((*found.wrong, *found.explained))


def test_measurements_are_distinguished_from_conclusions(files):
    def change(found):
        stage_of(found)["verdict"]["confidence"] = "hint"
        stage_of(found)["validity"]["reasons"] = ["another rule"]
        stage_of(found)["older_key"] = 1

    concluded = verify(files | {"results.json": results(files, change)}, "run.zip")
    measured = verify(
        files | {"results.json": results(files, MADE_UP["a number is better than the data"][0])}, "run.zip"
    )

    assert (concluded.wrong, len(concluded.explained) >= 3) == ((), True)
    assert len(measured.wrong) == 1


STAGE = ("configurations", 3, "stages", 1)


@pytest.mark.parametrize(
    ("place", "is_conclusion"),
    [
        ((*STAGE, "verdict", "counter_experiment", "trial", "actual_rps"), True),
        ((*STAGE, "validity", "reasons", 0), True),
        ((*STAGE, "notes", 0), True),
        ((*STAGE, "find", "why"), True),
        (("configurations", 0, "capacity", 0, "limited_by"), True),
        (("configurations", 0, "capacity", 0, "probes", 2, "verdict"), True),
        (("configurations", 0, "capacity", 0, "sentence"), True),
        (("scaling", 0, "law", "contention"), True),
        ((*STAGE, "find", "holds"), False),
        ((*STAGE, "thresholds", 0, "ok"), False),
        ((*STAGE, "status"), False),
        ((*STAGE, "duration_ms", "p95"), False),
        (("configurations", 0, "capacity", 0, "rps"), False),
        (("configurations", 0, "load", "timeout_s"), False),
        (("run", "error"), False),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_the_types_of_results_mark_conclusions(place, is_conclusion):
    assert is_conclusion_at(place) is is_conclusion


@pytest.mark.parametrize("version", ["0.0.1", None])
def test_conclusions_may_differ_only_if_other_code_wrote_the_archive(tmp_path, files, version):
    def change(found):
        stage_of(found)["verdict"]["confidence"] = "hint"

    changed = files | {"results.json": results(files, change)}
    if version:
        software = json.dumps({"loadproof": version, "code_sha256": "0" * 64, "packages": {}}).encode()
        changed["software.json"] = software
        pinned = json.loads(files["lock.json"]) | {"software": json.loads(software)}
        changed["lock.json"] = json.dumps(pinned).encode()
    else:
        pinned = json.loads(files["lock.json"]) | {"software": json.loads(json_file(lock.software()))}
        changed["lock.json"] = json.dumps(pinned).encode()
    path = tmp_path / "run.zip"
    path.write_bytes(pack(changed))

    if version:
        assert "verdict.confidence" in "\n".join(checked(path)[1].explained)
    else:
        with pytest.raises(ArchiveDamaged, match="do not follow"):
            checked(path)


def test_many_wrong_numbers_are_not_all_listed(files):
    def change(found):
        for number in range(80):
            found[f"made-up-{number}"] = number

    found = verify(files | {"results.json": results(files, change)}, "run.zip")

    assert found.explained[-1] == "... and 61 more kinds of difference"
    assert len(found.explained) == 21


def test_a_changed_journal_is_detected_by_the_numbers(files):
    trial = json.loads(files["journal.ndjson"].splitlines()[0])
    trial["trial"]["load"]["seconds"].pop()

    wrong = verify(files | {"journal.ndjson": json.dumps(trial).encode() + b"\n"}, "run.zip")

    assert "requests.succeeded" in "\n".join(wrong.wrong)


@pytest.mark.parametrize("name", [*DERIVED, "report.md"])
def test_a_changed_derived_file_is_detected(files, name):
    changed = verify(files | {name: files[name] + b" "}, "run.zip")

    assert f"{name} is not what the archive's own data give" in (*changed.wrong, *changed.explained)


@pytest.mark.parametrize("name", DERIVED)
def test_a_missing_derived_file_is_an_error(files, name):
    with pytest.raises(ArchiveDamaged, match=f"{name} is missing"):
        verify({other: content for other, content in files.items() if other != name}, "run.zip")


@pytest.mark.parametrize("name", ["evil.sh", "charts/evil.js", "logs/deep/er/app.log", "report.html"])
def test_a_file_that_no_run_writes_is_refused(files, name):
    with pytest.raises(ArchiveDamaged, match=f"no run writes {name}"):
        verify(files | {name: b""}, "run.zip")


@pytest.mark.parametrize("name", ["host-before.json", "host-after.json", "git.json", "software.json"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "is no JSON"),
        (b"[1]", "is no JSON object"),
        (b'{"schema_version": 99}', "newer version of Loadproof"),
    ],
)
def test_the_other_json_files_must_be_objects_of_this_version(files, name, content, reason):
    with pytest.raises(ArchiveDamaged, match=f"{name}.*{reason}"):
        verify(files | {name: content}, "run.zip")


def test_a_resolved_specification_with_other_values_is_wrong_for_any_version(files):
    other = files["spec.resolved.yaml"].replace(b"replicas: 2", b"replicas: 3")

    wrong = verify(files | {"spec.resolved.yaml": other}, "run.zip").wrong

    assert wrong == ("spec.resolved.yaml is another experiment than spec.yaml with its overrides",)


def test_the_same_numbers_in_another_format_are_detected(files):
    spelt = json.dumps(json.loads(files["results.json"])).encode()

    assert (
        "the format is not that of a run" in verify(files | {"results.json": spelt}, "run.zip").explained[0]
    )


def deep() -> bytes:
    return b"[" * 200_000


NONSENSE = {
    "no journal": ("journal.ndjson", None),
    "no specification": ("spec.yaml", None),
    "results that are no JSON": ("results.json", b"{"),
    "results without end": ("results.json", deep()),
    "a specification that is none": ("spec.yaml", b"version: 1\nname: [\n"),
    "a run.json that is none": ("run.json", b"[]"),
    "a run.json without end": ("run.json", deep()),
    "a journal of something else": ("journal.ndjson", b'{"a": 1}\n{"b": 2}\n'),
    "a journal without end": ("journal.ndjson", deep() + b"\n" + deep() + b"\n"),
    "a journal of bytes": ("journal.ndjson", b"\xff\xfe\n"),
    "an empty journal": ("journal.ndjson", b""),
}


@pytest.mark.parametrize(("name", "content"), NONSENSE.values(), ids=NONSENSE)
def test_forged_files_are_refused_with_a_reason(tmp_path, files, name, content):
    path = tmp_path / "run.zip"
    path.write_bytes(
        pack({k: v for k, v in files.items() if k != name} | ({name: content} if content is not None else {}))
    )

    with pytest.raises(ArchiveDamaged) as caught:
        checked(path)

    assert str(path) in caught.value.message


@pytest.mark.parametrize("value", [None, -1, 0, 1e308, "x", [], {}])
@pytest.mark.parametrize("place", ["load", "observed", "configuration", "stage", "status"])
def test_a_malformed_trial_is_always_refused(tmp_path, files, place, value):
    line = json.loads(files["journal.ndjson"].splitlines()[0])
    line["trial"][place] = value
    path = tmp_path / "run.zip"
    path.write_bytes(pack(files | {"journal.ndjson": json.dumps(line).encode() + b"\n"}))

    with pytest.raises(ArchiveDamaged):
        checked(path)


def test_the_archive_of_a_real_run_is_accepted(tmp_path, files):
    path = tmp_path / "run.zip"
    path.write_bytes(pack(files))

    assert set(checked(path)[0].files) == {*files, MANIFEST}
