"""The end of a run: what is on disk if its report cannot be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.core.errors import OutputError
from runner.execution import conclude
from runner.execution.context import RunState
from runner.store.results_file import read_results
from runner.store.run_folder import RunFolder
from tests.analyze.facts import RUN, results_of


def no_space(_results: object) -> dict[str, bytes]:
    raise OutputError("no space")


def test_a_run_whose_report_has_no_space_has_ended_with_its_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conclude, "rendered", no_space)
    results = results_of()

    with pytest.raises(OutputError):
        conclude._write(RunFolder(tmp_path), results, RunState(RUN, []), b"it has ended")

    assert (tmp_path / "run.json").read_bytes() == b"it has ended"
    assert read_results(tmp_path) == results
