"""Reports are created again by the commands in their table, and a failed run replaces none."""

from infra.reports import refresh


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
