"""Nothing that comes from outside ends in an error that is not ours, in a hang, or in live markup.

Each target is fuzzed for a few seconds, beginning with its kept inputs; FUZZ_SECONDS sets another time. By
hand, `make fuzz` does it for longer.
"""

import os

import pytest

from runner.core.errors import StoredRunError
from tests.fuzz.sanitized import compiler, fuzz_sanitized
from tests.fuzz.session import main as fuzz_here
from tests.fuzz.side_by_side import fuzz
from tests.fuzz.target import HERE, NAMES, check_error, inputs, load
from tests.fuzz.targets import results

CI = os.environ.get("CI") == "true"
SECONDS = float(os.environ.get("FUZZ_SECONDS") or (5 if CI else 3))
MAX_CORPUS_BYTES = 1 << 20


def test_nothing_is_found(tmp_path):
    fuzzed = fuzz(NAMES, SECONDS, tmp_path, at_once=len(NAMES))

    failed = [f"{result.name}: {result.findings}\n{result.output}" for result in fuzzed if not result.ok]
    assert not failed, "\n".join(failed)
    assert all(result.runs for result in fuzzed)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_found_by_the_kept_inputs(name):
    target = load(name)
    for data in inputs(name):  # a busy machine does not get through them in the few seconds of fuzzing
        target.check(data[: target.max_bytes])


@pytest.mark.skipif(not CI, reason="compiles for half a minute, runs with CI=true")
@pytest.mark.skipif(compiler() is None, reason="there is no C compiler with sanitizers")
def test_the_compiled_exchange_reads_and_computes_within_bounds(tmp_path):
    result = fuzz_sanitized(SECONDS / 2, tmp_path)

    assert result.ok, result.output
    assert result.runs >= len(inputs("exchange"))


def test_the_kept_inputs_are_small():
    files = [path for path in (HERE / "corpus").rglob("*") if path.is_file()]

    assert {path.parent.name for path in files} == set(NAMES)
    assert sum(path.stat().st_size for path in files) < MAX_CORPUS_BYTES


def test_live_markup_is_found(monkeypatch):
    monkeypatch.setattr(results, "render_markdown", lambda *_, **__: "a <zqx> b")

    with pytest.raises(AssertionError, match="an element of a text of the run"):
        results.check(inputs("results")[0])


def test_an_error_of_python_is_found_and_its_input_kept(monkeypatch, tmp_path):
    def fail(*_):
        raise KeyError

    monkeypatch.setattr("tests.fuzz.targets.results.render_csv", fail)

    with pytest.raises(KeyError):
        fuzz_here("results", str(tmp_path / "results"), "0", "--by-chance")

    (kept,) = tmp_path.glob("results.finding-*")
    assert kept.read_bytes() == inputs("results")[0]


@pytest.mark.parametrize("text", ["", "a\x1b[31mb", "'NoneType' object", "x" * 3000])
def test_an_error_that_is_not_fit_to_be_shown_is_found(text):
    with pytest.raises(AssertionError):
        check_error(StoredRunError(text))


@pytest.mark.parametrize("name", NAMES)
def test_seeds_are_handled(name):
    target = load(name)

    for data in target.seeds():
        assert len(data) <= target.max_bytes
        target.check(data)
