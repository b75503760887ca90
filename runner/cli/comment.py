"""`runner comment`: a run's result on the pull request it belongs to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from runner.cli import exit_codes
from runner.core.errors import OutputError, PublishFailed
from runner.publish.ci_context import PROVIDERS, Asked

if TYPE_CHECKING:
    from runner.publish.comment import Draft

_KEPT: Final = "comment.md"


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--pr", "number", type=click.IntRange(min=1), help="Number of the pull or merge request.")
@click.option("--provider", type=click.Choice(PROVIDERS), help="Forgejo is gitea, Enterprise is github.")
@click.option("--repository", metavar="OWNER/NAME", help="Where the pull request is.")
@click.option(
    "--api-url", "api", metavar="URL", help="Of a provider of your own, such as https://HOST/api/v1."
)
@click.option("--baseline", type=click.Path(path_type=Path), metavar="RUN", help="Show what changed since.")
@click.option("--commit", metavar="SHA", help="What was tested.")
@click.option("--link", metavar="URL", help="Where the whole report lies.")
@click.option("--id", "identity", metavar="WORD", help="Tells several comments of one experiment apart.")
@click.option("--dry-run", is_flag=True, help="Print the comment and send nothing.")
@click.option("--summary-only", is_flag=True, help="Write the job's summary page only; needs no token.")
@click.option("--required", is_flag=True, help="Fail when the comment does (exit code 3).")
def comment(
    run: Path,
    number: int | None,
    provider: str | None,
    repository: str | None,
    api: str | None,
    baseline: Path | None,
    commit: str | None,
    link: str | None,
    identity: str | None,
    dry_run: bool,
    summary_only: bool,
    required: bool,
) -> int:
    """Put the result of RUN, a run's folder, on its pull request, in one comment that is kept up to date.

    What is not given is taken from the CI's environment, the token always: GITHUB_TOKEN, GITEA_TOKEN
    or GITLAB_TOKEN. A comment that fails fails nothing else unless it is --required; its text is
    kept as comment.md in RUN.
    """
    from runner.archive.results_from import read_results_of as read_results
    from runner.publish.ci_context import find_commit, find_link
    from runner.publish.comment import Draft, Origin, check_identity

    asked = Asked(provider, api, repository, number, commit, link)
    draft = Draft(
        results=read_results(run),
        baseline=None if baseline is None else read_results(baseline),
        origin=Origin(find_commit(asked, os.environ), find_link(asked, os.environ)),
        identity=check_identity(identity),
    )
    if dry_run:
        click.echo(draft.render(_most(provider)), nl=False)
        return exit_codes.DONE
    from runner.cli.github_actions import add_summary

    noted = add_summary(draft.render(_most("gitlab")), os.environ)
    if summary_only:
        click.echo("the job's summary has it" if noted else "there is no job summary to write to", err=True)
        return exit_codes.DONE
    try:
        click.echo(_send(draft, asked))
    except PublishFailed as failure:
        return _keep(run, draft, failure, required=required)
    return exit_codes.DONE


def _most(provider: str | None) -> int:
    from runner.publish.providers import MOST

    return MOST[provider or "github"]


def _send(draft: Draft, asked: Asked) -> str:
    from runner.publish.ci_context import find_target
    from runner.publish.providers import open_forge, open_wire
    from runner.publish.sticky_comment import publish

    target = find_target(asked, os.environ)
    wire = open_wire(target)
    with wire.client:
        forge = open_forge(target, wire)
        done = publish(forge, lambda most: wire.hidden(draft.render(most)), draft.marker)
    return f"comment {done} on {target.repository}{'!' if target.provider == 'gitlab' else '#'}{forge.number}"


def _keep(run: Path, draft: Draft, failure: PublishFailed, *, required: bool) -> int:
    """Say what went wrong and where the text is now."""
    from runner.store.run_folder import RunFolder, rescue_folder

    folder = RunFolder(run if run.is_dir() else run.parent)
    content = draft.render(_most(None)).encode()
    try:
        kept = folder.write(_KEPT, content)
    except OutputError:
        kept = rescue_folder().write(_KEPT, content)
    exit_codes.show_error(failure)
    click.echo(f"the comment's text is in {kept}", err=True)
    if required:
        return exit_codes.code_for(failure)
    click.echo("this fails nothing else; with --required it would", err=True)
    return exit_codes.DONE
