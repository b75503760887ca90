"""The state of a repository, as git itself has it."""

import subprocess

import pytest

from runner.archive.git import MAX_PATHS, GitState, state, without_credentials


@pytest.fixture
def repository(tmp_path):
    """A repository with one commit and a remote with credentials."""
    git(tmp_path, "init", "--quiet", "--initial-branch", "topic")
    git(tmp_path, "remote", "add", "origin", "https://me:secret@git.example.org/me/shop.git")
    (tmp_path / "old name").write_text("some text that git recognizes again\n" * 9)
    (tmp_path / "changed").write_text("1")
    commit(tmp_path)
    return tmp_path


def git(folder, *arguments) -> str:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def commit(folder) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Add files")


def test_a_clean_repository(repository):
    assert state(repository) == GitState(
        commit=git(repository, "rev-parse", "HEAD"),
        branch="topic",
        dirty=(),
        dirty_count=0,
        remote="https://git.example.org/me/shop.git",
    )


def test_changed_renamed_conflicting_and_new_paths_are_dirty(repository):
    git(repository, "checkout", "--quiet", "-b", "other")
    (repository / "changed").write_text("2")
    commit(repository)
    git(repository, "checkout", "--quiet", "topic")
    (repository / "changed").write_text("3")
    commit(repository)
    with pytest.raises(subprocess.CalledProcessError):
        git(repository, "merge", "other")
    git(repository, "mv", "old name", "new name")
    (repository / "new file\n# with a line").write_text("")

    assert state(repository).dirty == ("changed", "new file\n# with a line", "new name")


def test_a_folder_inside_names_paths_from_the_top(repository):
    (repository / "inside").mkdir()
    (repository / "inside" / "new").write_text("")

    assert state(repository / "inside").dirty == ("inside/",)


def test_not_all_of_many_paths_are_listed(repository):
    for number in range(MAX_PATHS + 5):
        (repository / f"new-{number:03}").write_text("")

    found = state(repository)

    assert found.dirty_count == MAX_PATHS + 5
    assert len(found.dirty) == MAX_PATHS


def test_a_detached_head_has_no_branch_and_a_new_repository_no_commit(repository, tmp_path):
    git(repository, "checkout", "--quiet", "--detach")
    new = tmp_path / "new"
    git(tmp_path, "init", "--quiet", "--initial-branch", "main", str(new))

    assert (state(repository).branch, state(repository).unreadable) == (None, {"branch": "HEAD is detached"})
    assert (state(new).commit, state(new).branch, state(new).remote) == (None, "main", None)
    assert set(state(new).unreadable) == {"commit", "remote"}


def test_no_repository_no_folder_and_no_git_are_reasons(tmp_path, monkeypatch):
    assert state(tmp_path) == GitState(unreadable={"repository": "no git repository"})
    assert state(tmp_path / "none").unreadable == {"repository": "there is no such folder"}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert state(tmp_path).unreadable == {"repository": "git is not installed"}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://token@host.example:8443/a/b.git?x=1", "https://host.example:8443/a/b.git"),
        ("git@host.example:a/b.git", "host.example:a/b.git"),
        ("ssh://git@[::1]:22/a", "ssh://[::1]:22/a"),
        ("/home/me/shop", None),
        ("file:///home/me/shop", None),
    ],
)
def test_a_remote_has_no_credentials_and_no_path_of_this_machine(url, shown):
    assert without_credentials(url) == shown
