"""A run's specification, run file and journal: refused, or analyzed and rendered."""

import json
from pathlib import Path
from random import Random

from runner.store.journal import encode_entry, parse
from runner.store.reanalyze import reanalyze_files
from runner.store.results_file import encode_results, parse_results
from runner.store.run_file import JOURNAL, RUN
from tests.fuzz.mutators import mutate_bytes, mutate_json
from tests.fuzz.target import HERE, Target, accepted
from tests.fuzz.targets.results import check_reports
from tests.fuzz.targets.specification import TOKENS

REPORTS = HERE.parents[1] / "reports"
SPEC = "spec.yaml"
_SECONDS, _SAMPLES = 3, 5


def seeds():
    for name in ("quickstart", "docker-4k", "capacity"):
        run = json.loads((REPORTS / name / RUN).read_bytes())
        spec = (REPORTS / name / SPEC).read_text()
        lines = (REPORTS / name / JOURNAL).read_bytes().splitlines()[:2]
        yield joined({SPEC: spec, RUN: run}, [_shortened(json.loads(line)) for line in lines])


def _shortened(entry: dict) -> dict:
    load, observed = entry["trial"]["load"], entry["trial"]["observed"]
    load["seconds"] = load["seconds"][:_SECONDS]
    observed["samples"] = observed["samples"][:_SAMPLES]
    return entry


def joined(head: dict, entries: list) -> bytes:
    """Return an input: a line with the specification and run.json, then the journal."""
    return b"\n".join(json.dumps(part, separators=(",", ":")).encode() for part in (head, *entries))


def files_of(data: bytes) -> dict[str, bytes] | None:
    """Return the three files of an input, None if its first line is not what the mutations leave."""
    head, _, journal = data.partition(b"\n")
    try:
        head = json.loads(head)
        spec = head[SPEC].encode("utf-8", "replace")
        return {SPEC: spec, RUN: json.dumps(head[RUN]).encode(), JOURNAL: journal}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def check(data: bytes) -> None:
    files = files_of(data)
    if files is None:
        return
    entries = accepted(lambda: parse(files[JOURNAL], JOURNAL))
    if entries is None:
        return
    written = b"\n".join(map(encode_entry, entries))
    assert b"\n".join(map(encode_entry, parse(written, JOURNAL))) == written, (
        "a journal that changes when read again"
    )
    run = accepted(lambda: reanalyze_files(files, where=""))
    results = run and accepted(lambda: parse_results(encode_results(run.results), Path("results.json")))
    if results:
        check_reports(results)


def mutate(data: bytes, random: Random) -> bytes:
    head, *lines = data.split(b"\n")
    choice = random.random()
    if lines and choice < 0.8:
        at = random.randrange(len(lines))
        lines[at] = mutate_json(lines[at], random)
    elif choice < 0.9:
        head = mutate_json(head, random)
    elif files := files_of(data):
        spec = mutate_bytes(files[SPEC], random, TOKENS).decode("utf-8", "replace")
        head = json.dumps({SPEC: spec, RUN: json.loads(files[RUN])}).encode()
    return b"\n".join([head, *lines])


TARGET = Target(seeds, check, mutate, max_bytes=64 * 1024)
