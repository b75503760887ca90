"""Specifications: read, planned, resolved and read again, or refused with every problem's place."""

from random import Random

import yaml

from runner.core.errors import SpecificationError
from runner.experiment.load import read_spec
from runner.experiment.resolved import resolved_text
from runner.experiment.trials import plan
from tests.experiment.samples import DESIGN, MINIMAL, PROCESS, SCENARIOS
from tests.fuzz.mutators import HOSTILE, mutate_bytes
from tests.fuzz.target import HERE, Target, check_error

EXPERIMENTS = HERE.parents[1] / "experiments"
_YAML = [
    b"{", b"}", b"[", b"]", b": ", b"- ", b"\n", b"\n  ", b"#", b"&a ", b"*a", b"<<: *a", b"!!binary ",
    b"!!python/name:os ", b"|\n  ", b">-\n  ", b"? ", b"---\n", b"...\n", b"%YAML 1.2\n", b"\t", b"'",
    b'"', b"\\x00", b"\\ud800", b"\xff", b"\xef\xbb\xbf", b"\x85", b"\xe2\x80\xa8", b"~", b"null",
    b"true", b"on", b"1:30", b"2026-01-01", b"0x10", b"0o7", b"1_000", b".inf", b".nan", b"1e400",
    b"stages", b"find: {until: [errors < 1%]}", b"matrix: {load.connection: [new, keep-alive]}",
    b"configurations:\n  - name: a\n", b"repeats: 3", b"thresholds: [duration.p95 < 1ms]", b"${a}",
    b"{pause: [1s, 2s]}", b"{repeat: 3, until: {a: 1}, steps: [{request: a}]}", b"{if: {a: {min: 1}}}",
    b"users_per_s", b"extract: {a: {json: $.a, pick: all}}", b"{for_each: a, as: b, steps: *a}", b"30%",
    b"10s", b"256MiB", b"[::1]", b"http://u:p@h:1/?q#f", b"../x",
]  # fmt: skip
TOKENS = [*(text.encode() for text in HOSTILE), *_YAML]


def seeds():
    yield from (text.encode() for text in (MINIMAL, PROCESS, DESIGN, SCENARIOS))
    yield from (path.read_bytes() for path in sorted(EXPERIMENTS.glob("*.yaml")))


def check(data: bytes) -> None:
    try:
        experiment = read_spec(data, source="spec.yaml")
    except SpecificationError as refused:
        check_refusal(refused)
        return
    plan(experiment)
    text = resolved_text(experiment)
    again = read_spec(text.encode(), source="spec.resolved.yaml")
    assert again == experiment.model_copy(update={"matrix": {}}), f"another experiment when resolved:\n{text}"
    yaml.safe_load(text)


def check_refusal(error: SpecificationError) -> None:
    """Raise unless an error has problems, each with a place and a message."""
    check_error(error)
    assert error.positions, "an error without a problem"
    places = [(problem.line, problem.column, problem.message) for problem in error.positions]
    assert all(map(all, places)), f"a problem without a place: {places}"


def mutate(data: bytes, random: Random) -> bytes:
    return mutate_bytes(data, random, TOKENS)


TARGET = Target(seeds, check, mutate, max_bytes=4096)
