"""README.md of an archive states what was run; texts of the specification are escaped in it."""

from msgspec.structs import replace

from runner.archive.lock import LockedBuild, LockedSystem, lock, software
from runner.archive.readme import readme
from tests.report.stored_results import stored, with_experiment, with_run

LOCK = lock(spec=b"", resolved=b"", software=software(), trials=[])


def text_of(results, locked=LOCK, *, narrowed=False) -> str:
    return readme(results, locked, narrowed=narrowed).decode()


def test_it_names_the_run_its_version_and_its_command():
    results = stored("docker-4k")
    text = text_of(results)

    assert text.startswith("# ")
    assert f"Run `{results.run.id}` of an experiment with Loadproof {LOCK.version}" in text
    assert f"\n    {results.run.command}\n" in text


def test_markup_in_the_specification_is_escaped():
    results = with_experiment(stored("docker-4k"), title="<b>x</b>\n# [y](z)")
    results = with_run(results, command="runner execute a\n\n# heading")

    text = text_of(results)

    assert text.startswith("# \\<b\\>x\\</b\\> \\# \\[y\\](z)\n")
    assert "\n    runner execute a # heading\n" in text


def test_it_names_build_folders_and_variables():
    system = LockedSystem(
        kind="docker",
        docker=None,
        nginx=None,
        images={},
        env_names=("TOKEN",),
        build=LockedBuild(folder="../app", context="", content=""),
    )
    text = text_of(stored("docker-4k"), replace(LOCK, configurations={"shop": system}), narrowed=True)

    assert "It builds from `../app`, relative to the specification" in text
    assert "The app received the environment variables `TOKEN`." in text
    assert "the same overrides and the same selection of stages" in text
