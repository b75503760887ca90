"""What differs besides the numbers is listed, and what differs from minute to minute is not."""

import json

import pytest

from runner.archive import host, lock
from runner.archive.diff import differences, surroundings, surroundings_now
from runner.archive.provenance import json_file


@pytest.fixture
def kept():
    """Host and software as a run on this machine keeps them."""
    software = json.loads(json_file(lock.software()))
    return {
        "host-before.json": json_file(host.facts()),
        "software.json": json_file(software),
        "lock.json": json.dumps({"schema_version": 1, "software": software, "configurations": {}}).encode(),
    }


def changed(content: bytes, change) -> bytes:
    found = json.loads(content)
    change(found)
    return json.dumps(found).encode()


def test_nothing_differs_on_the_same_machine_a_minute_later(kept):
    later = changed(
        kept["host-before.json"],
        lambda host: (
            host["load"].update(average=[9, 9, 9]),
            host["clock"].update(uptime_s=1e6),
            host["memory_mib"].update(available=1),
            host["environment"].update(load_average_1m=9.0),
            host.update(taken_at="2030-01-01T00:00:00+00:00"),
        ),
    )

    assert surroundings(kept, kept | {"host-before.json": later}) == []
    assert surroundings_now(kept | {"host-before.json": later}) == []


def test_another_version_kernel_or_setting_is_listed_once_under_its_name(kept):
    other = {
        **kept,
        "lock.json": changed(kept["lock.json"], lambda it: it["software"]["packages"].update(trio="0.1")),
        "software.json": changed(kept["software.json"], lambda it: it["packages"].update(trio="0.1")),
        "host-before.json": changed(
            kept["host-before.json"],
            lambda it: (it["environment"].update(kernel="2.6"), it["sysctls"].update({"vm.swappiness": 1})),
        ),
    }

    for rows in (surroundings(other, kept), surroundings_now(other)):
        assert [row.what for row in rows] == ["trio", "kernel", "sysctls.vm.swappiness"]
        assert [row.base for row in rows] == ["0.1", "2.6", "1"]


def test_facts_that_one_side_did_not_record_are_no_difference(kept):
    bare = {"lock.json": changed(kept["lock.json"], lambda it: it.update(software=None))}

    assert surroundings(bare, kept) == []
    assert surroundings_now(bare) == []


def test_another_image_and_another_folder_are_listed(kept):
    def made_of(image, content):
        made = {"images": {"app": {"id": image}}, "build": {"content": content}}
        return kept | {
            "lock.json": changed(kept["lock.json"], lambda it: it["configurations"].update(a=made))
        }

    rows = surroundings(made_of("sha256:1", "aa"), made_of("sha256:2", "bb"))

    assert [(row.what, row.base, row.head) for row in rows] == [
        ("a.images.app.id", "sha256:1", "sha256:2"),
        ("a.build.content", "aa", "bb"),
    ]


def test_specifications_and_rendered_files_differ_line_by_line(kept):
    one = kept | {"spec.yaml": b"a: 1\nb: 2\n", "rendered/x/nginx.conf": b"x;\n", "report.md": b"one"}
    other = kept | {"spec.yaml": b"a: 1\nb: 3\n", "report.md": b"other", "git.json": b"nonsense"}

    assert differences(one, other) == [
        "only in the first: rendered/x/nginx.conf",
        "only in the second: git.json",
        "--- a/spec.yaml",
        "+++ b/spec.yaml",
        "@@ -1,2 +1,2 @@",
        " a: 1",
        "-b: 2",
        "+b: 3",
    ]
