import json

import pytest
from msgspec.structs import replace

from runner.store.journal import encode_entry, parse, read
from runner.store.json_text import encode_json, readable
from runner.store.results_file import encode_results
from runner.store.run_file import RunFile
from tests.archive.folders import REPORTS
from tests.report.stored_results import stored


@pytest.mark.parametrize("text", ["a\udcffb", "\ud800", "\udfff\ud800"])
def test_bytes_that_are_no_text_are_replaced(text):
    assert "\ufffd" in readable(text)
    assert json.loads(encode_json({text: [text, {"x": text}]})) == {
        readable(text): [readable(text), {"x": readable(text)}]
    }


def test_text_is_unchanged():
    assert readable("ü\N{PILE OF POO}") == "ü\N{PILE OF POO}"


def test_a_run_with_a_name_that_is_no_text_is_written_and_read_again():
    entry = read(REPORTS / "quickstart" / "journal.ndjson")[0]
    run = replace(entry.run, command="runner execute sp\udcffec.yaml")
    results = stored("quickstart")

    (written,) = parse(encode_entry(replace(entry, run=run)), "journal")
    assert written == replace(entry, run=replace(run, command="runner execute sp\ufffdec.yaml"))
    assert "sp\ufffd" in RunFile(run, "base\udcff").to_json().decode()
    changed = replace(results, run=replace(results.run, command=run.command))
    assert "sp\ufffdec" in encode_results(changed).decode()
