import os

import pytest

from runner.core.errors import OutputError, UsageError
from runner.store.output_folder import claimed_folder
from runner.store.run_file import RUN
from runner.store.run_folder import JOURNAL, SPEC


def leave_a_run(path, *, trials=b"") -> None:
    (path / "provenance" / "logs").mkdir(parents=True)
    (path / "provenance" / "logs" / "app.log").write_text("boom")
    (path / RUN).write_text("{}")
    (path / SPEC).write_text("version: 1")
    (path / JOURNAL).write_bytes(trials)


def test_a_new_folder_is_created_with_its_parents(tmp_path):
    with claimed_folder(tmp_path / "reports" / "quickstart" / "now") as folder:
        folder.write("report.md", b"# hello\n")

    assert (folder.path / "report.md").read_bytes() == b"# hello\n"
    assert os.listdir(folder.path) == ["report.md"]


@pytest.mark.parametrize("names", [["precious"], [RUN, "precious"], [SPEC]])
def test_a_folder_that_contains_other_files_is_refused_and_unharmed(tmp_path, names):
    for name in names:
        (tmp_path / name).write_text("mine")

    with pytest.raises(UsageError, match="not empty"), claimed_folder(tmp_path):
        pass

    assert all((tmp_path / name).read_text() == "mine" for name in names)


@pytest.mark.parametrize("below", ["", "new/run"])
@pytest.mark.parametrize("kind", ["file", "lost link"])
def test_what_is_in_the_place_of_the_folder_is_named_and_unharmed(tmp_path, below, kind):
    obstacle = tmp_path / "notes"
    if kind == "file":
        obstacle.write_text("mine")
    else:
        obstacle.symlink_to(tmp_path / "nowhere")

    with pytest.raises(OutputError) as caught, claimed_folder(obstacle / below):
        pass

    assert caught.value.message.endswith(f"cannot be created: {obstacle} is not a folder")
    assert "--out" in caught.value.hint
    assert os.listdir(tmp_path) == ["notes"]


def test_what_a_run_left_that_measured_nothing_is_replaced(tmp_path):
    leave_a_run(tmp_path)

    with claimed_folder(tmp_path):
        assert os.listdir(tmp_path) == []


def test_a_run_with_a_trial_is_refused_and_unharmed(tmp_path):
    leave_a_run(tmp_path, trials=b"{}\n")

    with pytest.raises(UsageError, match="not empty"), claimed_folder(tmp_path):
        pass

    assert (tmp_path / JOURNAL).read_bytes() == b"{}\n"
    assert (tmp_path / "provenance" / "logs" / "app.log").exists()


@pytest.mark.parametrize("resumed", [False, True])
def test_two_runs_never_use_one_folder_at_the_same_time(tmp_path, resumed):
    with claimed_folder(tmp_path) as folder:
        folder.write(RUN, b"{}")
        with pytest.raises(UsageError, match="another run"), claimed_folder(tmp_path, resumed=resumed):
            pass
        assert (tmp_path / RUN).exists()

    with claimed_folder(tmp_path, resumed=True):
        assert (tmp_path / RUN).exists()
