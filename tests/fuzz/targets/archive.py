"""Archives: refused, or verified, extracted and read without a file outside their folder."""

import io
import tempfile
import zipfile
from pathlib import Path
from random import Random

from runner.archive.files import derived
from runner.archive.pack import SEAL_BYTES, pack, sealed
from runner.archive.results_from import read_results_of
from runner.archive.unpack import extract, read_archive
from runner.archive.verify import verify
from runner.store.reanalyze import reanalyze_files
from runner.store.results_file import encode_results
from tests.fuzz.mutators import mutate_bytes, mutate_json
from tests.fuzz.target import Target, accepted
from tests.fuzz.targets import journal
from tests.fuzz.targets.specification import TOKENS

NAMES = (
    "../zqx", "/zqx", "a/../../zqx", "zqx\x00", "C:\\zqx", "a//b", "zqx\n", "con", "charts/a-light.svg",
    "logs/a/b.log", "report.md", "provenance/git.json", "spec.yaml", "a" * 300,
)  # fmt: skip
ZIP = (
    b"PK\x01\x02",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"PK\x07\x08",
    b"\x00\x00",
    b"\xff\xff\xff\xff",
    b"\x08\x00",
    b"\x09\x00",
    b"../",
)


def seeds():
    for data in journal.seeds():
        files = journal.files_of(data)
        assert files is not None
        results = reanalyze_files(files, where="").results
        files["results.json"] = encode_results(results)
        yield pack(files | derived(files, results, ""))


def check(data: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="loadproof-fuzz-") as name:
        folder = Path(name)
        file = folder / "run.zip"
        file.write_bytes(data)
        archive = accepted(lambda: read_archive(file))
        if archive is None:
            return
        verified = accepted(lambda: verify(archive.files, "run.zip"))
        for sentence in (*verified.wrong, *verified.explained, *verified.unverified) if verified else ():
            assert sentence.isprintable(), f"control characters: {sentence!r}"
        accepted(lambda: read_results_of(file))
        accepted(lambda: extract(archive, folder / "inside" / "run"))
        outside = [
            path
            for path in folder.rglob("*")
            if path != file and (folder / "inside") not in (path, *path.parents)
        ]
        assert not outside, f"a file outside the folder: {outside}"


def mutate(data: bytes, random: Random) -> bytes:
    choice = random.random()
    if choice < 0.1:
        return mutate_bytes(data, random, ZIP)
    if choice < 0.4:
        return sealed(mutate_bytes(data[:-SEAL_BYTES], random, ZIP))
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = {entry.filename: archive.read(entry) for entry in archive.infolist()}
        files.pop("manifest-sha256.txt", None)
        return pack(_changed(files, random))
    except (
        zipfile.BadZipFile,
        ValueError,
        OSError,
        RuntimeError,
        NotImplementedError,
        EOFError,
        zipfile.zlib.error,
    ):
        return sealed(mutate_bytes(data, random, ZIP))


def _changed(files: dict[str, bytes], random: Random) -> dict[str, bytes]:
    name = random.choice(sorted(files) or ["x"])
    content = files.get(name, b"")
    if random.random() < 0.15:
        del files[name]
        files[random.choice(NAMES)] = content
    elif name.endswith(".json"):
        files[name] = mutate_json(content, random)
    elif name == "journal.ndjson":
        files[name] = b"\n".join(mutate_json(line, random) for line in content.splitlines())
    else:
        files[name] = mutate_bytes(content, random, TOKENS)
    return files


TARGET = Target(seeds, check, mutate, max_bytes=64 * 1024)
