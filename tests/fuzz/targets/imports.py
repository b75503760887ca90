"""Files to import: refused with a proper error, or made into a specification that is valid."""

import gzip
import json
from dataclasses import replace
from random import Random

from runner.experiment.load import read_spec
from runner.importers.fitting import fitted
from runner.importers.recognise import draft_of
from runner.importers.spec_text import default_name, spec_text
from tests.fuzz.mutators import HOSTILE, mutate_bytes, mutate_json
from tests.fuzz.target import HERE, Target, accepted

FILES = HERE.parents[0] / "importers" / "files"
MAX_BYTES = 24 * 1024
_TOKENS = [
    *(text.encode() for text in HOSTILE), b"$ref", b'"#/a"', b"${a}", b"$${", b"{{a}}", b"&a ", b"*a",
    b"<<: *a", b"\\x22", b'\\"', b'"', b"[", b"]", b"GET /a?b=c HTTP/1.1", b"/" * 40, b"\n", b"\xff",
    b"\x1f\x8b", b"~1", b"%00", b"1e999", b"- 1", b"openapi: 3.0.0", b'name="a" value="b"',
    b"http://[::1]:9/", b"http://h:99999/",
]  # fmt: skip


def seeds():
    for path in sorted(FILES.iterdir()):
        content = path.read_bytes()
        yield _smaller(content) if content[:1] == b"{" else content
    yield gzip.compress((FILES / "access.log").read_bytes())


def _smaller(content: bytes) -> bytes:
    """Return a document without what takes room and is not read."""
    document = json.loads(content)
    for entry in document.get("log", {}).get("entries", ()):
        for key in ("timings", "cache", "_initiator", "serverIPAddress", "connection"):
            entry.pop(key, None)
    return json.dumps(document, separators=(",", ":")).encode()


def check(data: bytes) -> None:
    draft = accepted(lambda: draft_of(data))
    if draft is None:
        return
    draft = fitted(replace(draft, url=draft.url or "http://127.0.0.1:8080")).with_prefix("a")
    text = spec_text(draft, default_name(draft, "file"), "file")
    read_spec(text.encode(), source="spec.yaml")
    for line in text.splitlines():
        assert line.isprintable(), f"a line with control characters: {line!r}"


def mutate(data: bytes, random: Random) -> bytes:
    if data[:1] == b"{" and random.random() < 0.85:
        return mutate_json(data, random)
    return mutate_bytes(data, random, _TOKENS)


TARGET = Target(seeds, check, mutate, MAX_BYTES)
