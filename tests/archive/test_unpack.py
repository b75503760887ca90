"""An archive is used whole and unchanged, or refused in a sentence of its own; nothing is written before."""

import io
import json
import stat
import struct
import subprocess
import warnings
import zipfile
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.archive import unpack
from runner.archive.manifest import MANIFEST, make_manifest
from runner.archive.pack import SEAL_BYTES, pack, sealed
from runner.archive.unpack import extract, read_archive
from runner.core.errors import ArchiveDamaged, StoredRunError, UsageError

SMALL = {"lock.json": b'{"schema_version": 1}', "report.md": b"# Report\n", "charts/a.svg": b"<svg/>" * 50}
WHOLE = pack(SMALL)
CENTRAL = b"PK\x01\x02"


def zip_of(*entries, manifest=True, **listed) -> bytes:
    """A sealed ZIP: `SMALL`, more entries (name or ZipInfo, content), and a manifest of them all."""
    files = {**SMALL, **listed}
    everything = [*files.items(), *entries]
    if manifest:
        plain = {name if isinstance(name, str) else name.filename: content for name, content in everything}
        everything.append((MANIFEST, make_manifest(plain)))
    return zip_with(everything)


def zip_with(entries, *, method=zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content, compress_type=method)
        archive.comment = bytes(SEAL_BYTES)
    return sealed(stream.getvalue()[:-SEAL_BYTES])


def without_seal(content: bytes) -> bytes:
    return content[:-SEAL_BYTES]


def of_kind(name: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, (mode | 0o777) << 16
    return entry


def patched(content: bytes, field: int, form: str, *values: int) -> bytes:
    """A field of the last entry in the central directory overwritten, and the ZIP sealed again."""
    body = bytearray(without_seal(content))
    struct.pack_into(form, body, body.rindex(CENTRAL) + field, *values)
    return sealed(bytes(body))


def renamed(content: bytes, old: bytes, new: bytes) -> bytes:
    return sealed(without_seal(content).replace(old, new))


def with_long_name(content: bytes, length: int) -> bytes:
    """The first entry's name is as long as this in its own header, and takes in what follows."""
    body = bytearray(without_seal(content))
    struct.pack_into("<H", body, 26, length)
    return sealed(bytes(body))


LISTED_TWICE = make_manifest(SMALL) + make_manifest(SMALL)
HOSTILE = {
    "a file is missing": (
        zip_with([*list(SMALL.items())[1:], (MANIFEST, make_manifest(SMALL))]),
        "lock.json: missing",
    ),
    "a file is in it that the manifest does not list": (
        zip_with([*SMALL.items(), ("more.txt", b""), (MANIFEST, make_manifest(SMALL))]),
        "more.txt: not in the manifest",
    ),
    "a file was changed and the ZIP packed anew": (
        zip_with([*(SMALL | {"report.md": b"# Better\n"}).items(), (MANIFEST, make_manifest(SMALL))]),
        "report.md: changed",
    ),
    "there is no manifest": (zip_of(manifest=False), f"no {MANIFEST}"),
    "the manifest lists a file twice": (zip_with([*SMALL.items(), (MANIFEST, LISTED_TWICE)]), "listed twice"),
    "the manifest is not sorted": (
        zip_with(
            [
                *SMALL.items(),
                (MANIFEST, b"".join(reversed(make_manifest(SMALL).splitlines(keepends=True)))),
            ]
        ),
        "not sorted",
    ),
    "the manifest has other line ends": (
        zip_with([*SMALL.items(), (MANIFEST, make_manifest(SMALL).replace(b"\n", b"\r\n"))]),
        ": missing",
    ),
    "the manifest lists a name with a colour for terminals": (
        zip_with([*SMALL.items(), (MANIFEST, make_manifest(SMALL | {"\x1b[31mred": b""}))]),
        "\N{REPLACEMENT CHARACTER}[31mred: missing",
    ),
    "the manifest lists such a name twice": (
        zip_with([*SMALL.items(), (MANIFEST, 2 * make_manifest({"\x1b[31mred": b""}))]),
        "\N{REPLACEMENT CHARACTER}[31mred is listed twice",
    ),
    "the manifest lists a name that is very long": (
        zip_with([*SMALL.items(), (MANIFEST, make_manifest(SMALL | {"n" * 60_000: b""}))]),
        "n…: missing",
    ),
    "a name is very long": (zip_of(("n" * 60_000, b"")), "not a plain name"),
    "an entry has another name in its header, and a very long one": (
        with_long_name(pack(SMALL | {"z": Random(1).randbytes(5000)}), 3000),
        "it is a damaged ZIP",
    ),
    "the manifest is no text": (zip_with([*SMALL.items(), (MANIFEST, b"\xff")]), "not UTF-8"),
    "a name leads out of the folder": (zip_of(("../evil", b"")), "points outside"),
    "a name leads out of it in the middle": (zip_of(("charts/../../evil", b"")), "points outside"),
    "a name is an absolute path": (zip_of(("/tmp/evil", b"")), "absolute path"),
    "a name has a drive": (zip_of(("C:/evil", b"")), "absolute path"),
    "a name has backslashes": (renamed(zip_of(("..+evil", b"")), b"..+evil", b"..\\evil"), "backslash"),
    "a name has a NUL": (renamed(zip_of(("ab+evil", b"")), b"ab+evil", b"ab\0evil"), "not a plain name"),
    "a name has a colour for terminals": (zip_of(("\x1b[31mred", b"")), "not a plain name"),
    "a name is hidden": (zip_of((".bashrc", b"")), "not a plain name"),
    "an entry is a folder": (zip_of(("charts/", b"")), "is a folder"),
    "an entry is a link": (zip_of((of_kind("link", stat.S_IFLNK), b"/etc/passwd")), "is a link"),
    "an entry is a device": (zip_of((of_kind("null", stat.S_IFCHR), b"")), "no regular file"),
    "a name is in it twice": (zip_of(("report.md", b"# Other\n")), "twice"),
    "two names are one where case does not count": (zip_of(("Report.md", b"")), "twice"),
    "an entry is encrypted": (patched(WHOLE, 8, "<H", 1), "encrypted"),
    "an entry is packed in another way": (
        zip_with([*SMALL.items(), (MANIFEST, make_manifest(SMALL))], method=zipfile.ZIP_LZMA),
        "compression method",
    ),
    "a small entry unpacks to very much": (zip_of(("zeros", bytes(2 << 20))), "times its size"),
    "the whole says that it unpacks to more than any run": (
        patched(WHOLE, 20, "<II", 300 << 20, 520 << 20),
        "unpacks to 520 MiB",
    ),
    "there are more files than any run has": (zip_of(*((f"f{n}", b"") for n in range(5000))), "5,004 files"),
    "an entry is larger than it says": (patched(WHOLE, 24, "<I", 5), "damaged ZIP"),
    "an entry is smaller than it says": (patched(WHOLE, 24, "<I", 5000), "its size is not the announced one"),
    "it was written by a newer version": (
        pack(SMALL | {"lock.json": b'{"schema_version": 2}'}),
        "newer version of Loadproof (schema version 2",
    ),
    "the lock has no version": (pack(SMALL | {"lock.json": b"{}"}), "no schema_version"),
    "the lock is no JSON": (pack(SMALL | {"lock.json": b"[" * 100_000}), "no schema_version"),
    "another program packed it": (
        without_seal(WHOLE).replace(struct.pack("<H", SEAL_BYTES), bytes(2)),
        "packed by another program",
    ),
    "something was put behind it": (WHOLE + b"\n", "does not end like an archive"),
    "its end was cut off": (WHOLE[:-1], "does not end like an archive"),
    "half of it is missing": (WHOLE[: len(WHOLE) // 2], "truncated"),
    "it is empty": (b"", "no ZIP archive"),
    "it is something else": (b"version: 1\n", "no ZIP archive"),
}


@pytest.mark.parametrize(("content", "says"), HOSTILE.values(), ids=HOSTILE)
def test_it_is_refused_with_a_reason_and_nothing_is_written(tmp_path, content, says):
    path = tmp_path / "run.zip"
    path.write_bytes(content)

    with pytest.raises(ArchiveDamaged) as caught:
        extract(read_archive(path), tmp_path / "out")

    assert says in "\n".join([caught.value.message, *caught.value.details])
    assert str(path) in caught.value.message
    assert all(
        len(text) < 600 for text in (caught.value.message.removeprefix(str(path)), *caught.value.details)
    )
    assert all(text.isprintable() for text in (caught.value.message, *caught.value.details))
    assert list(tmp_path.iterdir()) == [path]


@settings(max_examples=300)
@given(place=st.integers(0, len(WHOLE) - 1), flip=st.integers(1, 255))
def test_one_changed_byte_anywhere_is_detected(tmp_path_factory, place, flip):
    path = tmp_path_factory.getbasetemp() / "flipped.zip"
    path.write_bytes(WHOLE[:place] + bytes([WHOLE[place] ^ flip]) + WHOLE[place + 1 :])

    with pytest.raises(ArchiveDamaged):
        read_archive(path)


@given(length=st.integers(0, len(WHOLE) - 1))
def test_a_zip_truncated_anywhere_is_detected(tmp_path_factory, length):
    path = tmp_path_factory.getbasetemp() / "cut.zip"
    path.write_bytes(WHOLE[:length])

    with pytest.raises(ArchiveDamaged):
        read_archive(path)


def test_a_file_larger_than_any_archive_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "_MAX_PACKED", 1000)
    (tmp_path / "run.zip").write_bytes(bytes(1001))

    with pytest.raises(ArchiveDamaged, match="larger than"):
        read_archive(tmp_path / "run.zip")


def test_errors_distinguish_a_missing_file_from_a_damaged_one(tmp_path):
    for path in (tmp_path / "none.zip", tmp_path):
        with pytest.raises(StoredRunError, match="cannot read") as caught:
            read_archive(path)
        assert not isinstance(caught.value, ArchiveDamaged)


def test_packed_files_are_read_back_byte_for_byte_with_the_digest_of_the_zip(tmp_path, files):
    (tmp_path / "run.zip").write_bytes(pack(files))

    archive = read_archive(tmp_path / "run.zip")
    extract(archive, tmp_path / "out")

    assert {**files, MANIFEST: make_manifest(files)} == archive.files
    digest, _ = subprocess.check_output(["sha256sum", tmp_path / "run.zip"], text=True).split()
    assert archive.sha256 == digest
    out = tmp_path / "out"
    assert {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()} == archive.files


def test_the_same_files_give_the_same_bytes_in_any_order(files):
    assert pack(dict(reversed(files.items()))) == pack(files)
    assert pack(files) != pack({**files, "report.md": b"# Other\n"})


def test_a_folder_that_contains_files_is_left_alone(tmp_path):
    path, out = tmp_path / "run.zip", tmp_path / "out"
    path.write_bytes(WHOLE)
    out.mkdir()
    (out / "report.md").write_text("mine")

    with pytest.raises(UsageError, match="not empty"):
        extract(read_archive(path), out)
    with pytest.raises(UsageError, match="is not a folder"):
        extract(read_archive(path), path / "below")

    assert (out / "report.md").read_text() == "mine"


def test_other_programs_can_read_it_and_its_manifest(tmp_path, files):
    """`unzip` and `sha256sum --check`, as far as Python's zipfile and the format's rules say."""
    with zipfile.ZipFile(io.BytesIO(pack(files))) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        lines = archive.read(MANIFEST).decode().splitlines()
    assert names == sorted(names)
    assert [line[66:] for line in lines] == [name for name in names if name != MANIFEST]
    assert json.loads(files["lock.json"])["schema_version"] == 1
