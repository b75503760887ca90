"""Nothing that comes from outside ends in an error that is not ours, in a hang, or in live markup.

Each target gets its kept inputs and some that are made of them, always the same number: what is shown does
not depend on the machine. `make fuzz` goes on from there, for as long as you like.
"""

import os

import pytest

from runner.core.errors import StoredRunError
from tests.fuzz.sanitized import compiler, fuzz_sanitized
from tests.fuzz.session import main as fuzz_here
from tests.fuzz.side_by_side import fuzz_one
from tests.fuzz.target import HERE, NAMES, check_error, inputs, load
from tests.fuzz.targets import results

CI = os.environ.get("CI") == "true"
NEW_INPUTS = 40
"""As many of each target."""
GUIDED = "responses"
"""One target shows that coverage guides a session; each session begins by instrumenting the code."""
MAX_CORPUS_BYTES = 1 << 20


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_found(name, tmp_path):
    assert all(len(seed) <= load(name).max_bytes for seed in load(name).seeds())

    fuzz_here(name, str(tmp_path / name), f"--runs={len(inputs(name)) + NEW_INPUTS}", "--by-chance")

    assert not list(tmp_path.glob("*.finding-*"))


def test_nothing_is_found_where_coverage_guides(tmp_path):
    pytest.importorskip("atheris")
    runs = len(inputs(GUIDED)) + NEW_INPUTS

    result = fuzz_one(GUIDED, runs=runs, folder=tmp_path)

    assert result.ok, result.output
    assert result.runs >= runs


@pytest.mark.skipif(not CI, reason="compiles for half a minute, runs with CI=true")
@pytest.mark.skipif(compiler() is None, reason="there is no C compiler with sanitizers")
def test_the_compiled_exchange_reads_and_computes_within_bounds(tmp_path):
    runs = len(inputs("exchange")) + NEW_INPUTS

    result = fuzz_sanitized(tmp_path, runs=runs)

    assert result.ok, result.output
    assert result.runs == runs


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
        fuzz_here("results", str(tmp_path / "results"), "--runs=1", "--by-chance")

    (kept,) = tmp_path.glob("results.finding-*")
    assert kept.read_bytes() == inputs("results")[0]


@pytest.mark.parametrize("text", ["", "a\x1b[31mb", "'NoneType' object", "x" * 3000])
def test_an_error_that_is_not_fit_to_be_shown_is_found(text):
    with pytest.raises(AssertionError):
        check_error(StoredRunError(text))
