"""Reports are created again by the commands in their table, and a failed run replaces none."""

import shutil

from infra.reports import refresh
from runner.archive.unpack import read_archive


def test_the_table_lists_the_commands():
    row = (
        "| [one](one/report.md) | what it `shows` | `runner execute a.yaml --set 'b=c d' --out reports/one` |"
    )

    assert refresh.commands(f"# Reports\n\n{row}\n") == {
        "one": ["execute", "a.yaml", "--set", "b=c d", "--out", "reports/one"]
    }


def test_a_run_that_fails_keeps_the_old_report(tmp_path, monkeypatch):
    monkeypatch.setattr(refresh, "REPORTS", tmp_path)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "report.md").write_text("old")

    refreshed = refresh.refresh("one", ["execute", "no-such.yaml", "--out", "reports/one"])

    assert not refreshed.replaced
    assert "exit code 2, incomplete run" in refreshed.message
    assert (tmp_path / "one" / "report.md").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_an_unknown_name_is_refused():
    assert refresh.main(["no-such-report"]) == 2


def test_a_report_that_is_analyzed_again_keeps_what_was_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(refresh, "REPORTS", tmp_path)
    report = shutil.copytree(refresh.ROOT / "reports" / "quickstart", tmp_path / "quickstart")
    (report / "report.md").write_text("old")
    (report / "page.png").write_bytes(b"picture")
    (archive,) = report.glob("*.zip")
    before = read_archive(archive).files

    refreshed = refresh.recount("quickstart")

    assert refreshed.replaced
    after = read_archive(archive).files
    recorded = {name for name in before if name not in {"results.json", "report.md", "README.md"}}
    recorded = {name for name in recorded if not name.startswith(("charts/", "manifest", "ro-crate"))}
    assert {name: after[name] for name in recorded} == {name: before[name] for name in recorded}
    assert (report / "report.md").read_bytes() == after["report.md"].rstrip() + b"\n"
    assert {path.name for path in report.iterdir()} == {*refresh.KEPT, archive.name, "page.png"}
