"""A manifest that matches proves nothing: every number must follow from the data."""

import json

import pytest

from runner.archive import lock
from runner.archive.files import DERIVED
from runner.archive.manifest import MANIFEST
from runner.archive.pack import pack
from runner.archive.rerun import checked
from runner.archive.verify import Verified, verify
from runner.core.errors import ArchiveDamaged


def results(files, change) -> bytes:
    found = json.loads(files["results.json"])
    change(found)
    return json.dumps(found, indent=1, ensure_ascii=False).encode() + b"\n"


def stage_of(found):
    return found["configurations"][0]["stages"][0]


def test_a_real_run_follows_from_its_journal(files):
    assert verify(files, "run.zip") == Verified()


MADE_UP = {
    "a number is better than the data": (
        lambda found: stage_of(found)["duration_ms"].update(p95=0.1),
        "results.json: configurations[0].stages[0].duration_ms.p95 is 0.1, but the data say",
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

    assert says in "\n".join((*found.wrong, *found.otherwise))


def test_what_was_measured_is_told_from_what_a_version_concludes(files):
    def change(found):
        stage_of(found)["verdict"]["confidence"] = "hint"
        stage_of(found)["validity"]["reasons"] = ["another rule"]
        stage_of(found)["older_key"] = 1

    concluded = verify(files | {"results.json": results(files, change)}, "run.zip")
    measured = verify(
        files | {"results.json": results(files, MADE_UP["a number is better than the data"][0])}, "run.zip"
    )

    assert (concluded.wrong, len(concluded.otherwise) >= 3) == ((), True)
    assert len(measured.wrong) == 1


@pytest.mark.parametrize("version", ["0.0.1", None])
def test_an_archive_of_other_code_may_conclude_otherwise_and_of_this_code_may_not(tmp_path, files, version):
    def change(found):
        stage_of(found)["verdict"]["confidence"] = "hint"

    changed = files | {"results.json": results(files, change)}
    if version:
        software = json.dumps({"loadproof": version, "code_sha256": "0" * 64, "packages": {}}).encode()
        changed["software.json"] = software
        pinned = json.loads(files["lock.json"]) | {"software": json.loads(software)}
        changed["lock.json"] = json.dumps(pinned).encode()
    else:
        changed["lock.json"] = json.dumps(
            json.loads(files["lock.json"]) | {"software": lock.software()}
        ).encode()
    path = tmp_path / "run.zip"
    path.write_bytes(pack(changed))

    if version:
        assert "verdict.confidence" in "\n".join(checked(path)[1])
    else:
        with pytest.raises(ArchiveDamaged, match="do not follow"):
            checked(path)


def test_many_wrong_numbers_are_not_all_listed(files):
    def change(found):
        for number in range(80):
            found[f"made-up-{number}"] = number

    found = verify(files | {"results.json": results(files, change)}, "run.zip")

    assert found.otherwise[-1].startswith("... and 3")
    assert len(found.otherwise) == 51


def test_a_journal_that_was_changed_is_noticed_in_the_numbers(files):
    trial = json.loads(files["journal.ndjson"].splitlines()[0])
    trial["trial"]["load"]["seconds"].pop()

    wrong = verify(files | {"journal.ndjson": json.dumps(trial).encode() + b"\n"}, "run.zip")

    assert "requests.succeeded" in "\n".join(wrong.wrong)


@pytest.mark.parametrize("name", [*DERIVED, "report.md"])
def test_a_file_made_from_the_others_must_be_what_comes_out_of_them(files, name):
    changed = verify(files | {name: files[name] + b" "}, "run.zip")

    assert f"{name} is not what comes out of the archive's own data" in (*changed.wrong, *changed.otherwise)


@pytest.mark.parametrize("name", DERIVED)
def test_a_file_made_from_the_others_must_be_there(files, name):
    with pytest.raises(ArchiveDamaged, match=f"{name} is missing"):
        verify({each: content for each, content in files.items() if each != name}, "run.zip")


@pytest.mark.parametrize("name", ["evil.sh", "charts/evil.js", "logs/deep/er/app.log", "report.html"])
def test_a_file_that_no_run_writes_is_refused(files, name):
    with pytest.raises(ArchiveDamaged, match=f"no run writes {name}"):
        verify(files | {name: b""}, "run.zip")


@pytest.mark.parametrize("name", ["host-before.json", "host-after.json", "git.json", "software.json"])
@pytest.mark.parametrize(
    ("content", "told"),
    [(b"{", "is no JSON"), (b"[1]", "is no JSON object"), (b'{"schema_version": 99}', "newer Loadproof")],
)
def test_what_stands_beside_the_numbers_is_json_of_this_version(files, name, content, told):
    with pytest.raises(ArchiveDamaged, match=f"{name}.*{told}"):
        verify(files | {name: content}, "run.zip")


def test_a_resolved_specification_of_another_command_is_wrong_whoever_wrote_it(files):
    other = files["spec.resolved.yaml"].replace(b"replicas: 2", b"replicas: 3")

    wrong = verify(files | {"spec.resolved.yaml": other}, "run.zip").wrong

    assert wrong == ("spec.resolved.yaml is another experiment than spec.yaml with its overrides",)


def test_the_same_numbers_in_another_spelling_are_noticed(files):
    spelt = json.dumps(json.loads(files["results.json"])).encode()

    assert (
        "not written as a run writes them" in verify(files | {"results.json": spelt}, "run.zip").otherwise[0]
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
def test_what_is_no_run_is_refused_in_words(tmp_path, files, name, content):
    path = tmp_path / "run.zip"
    path.write_bytes(
        pack({k: v for k, v in files.items() if k != name} | ({name: content} if content is not None else {}))
    )

    with pytest.raises(ArchiveDamaged) as caught:
        checked(path)

    assert str(path) in caught.value.message


@pytest.mark.parametrize("value", [None, -1, 0, 1e308, "x", [], {}])
@pytest.mark.parametrize("place", ["load", "observed", "configuration", "stage", "status"])
def test_nonsense_in_a_trial_never_gets_past(tmp_path, files, place, value):
    line = json.loads(files["journal.ndjson"].splitlines()[0])
    line["trial"][place] = value
    path = tmp_path / "run.zip"
    path.write_bytes(pack(files | {"journal.ndjson": json.dumps(line).encode() + b"\n"}))

    with pytest.raises(ArchiveDamaged):
        checked(path)


def test_the_archive_of_a_real_run_is_found_whole(tmp_path, files):
    path = tmp_path / "run.zip"
    path.write_bytes(pack(files))

    assert set(checked(path)[0].files) == {*files, MANIFEST}
