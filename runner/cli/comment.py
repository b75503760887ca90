"""`runner comment`: posts the result of a run on its pull request."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from runner.cli import exit_codes
from runner.cli.output import answer, put, say
from runner.core.errors import OutputError, PublishFailed
from runner.publish.ci_context import PROVIDERS, CommentOptions

if TYPE_CHECKING:
    from runner.publish.comment import Draft

_TEXT_FILE: Final = "comment.md"


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--pr", "number", type=click.IntRange(min=1), help="Number of the pull or merge request.")
@click.option(
    "--provider",
    type=click.Choice(PROVIDERS),
    help="Forgejo: gitea. GitHub Enterprise: github.",
)
@click.option("--repository", metavar="OWNER/NAME", help="The repository of the pull request.")
@click.option(
    "--api-url", "api", metavar="URL", help="API of a self-hosted provider, such as https://HOST/api/v1."
)
@click.option(
    "--baseline", type=click.Path(path_type=Path), metavar="RUN", help="Show what changed since RUN."
)
@click.option("--commit", metavar="SHA", help="The commit that was tested.")
@click.option("--link", metavar="URL", help="Address of the whole report.")
@click.option("--id", "identity", metavar="WORD", help="Keeps several comments of one experiment apart.")
@click.option("--dry-run", is_flag=True, help="Print the comment, and send nothing.")
@click.option("--summary-only", is_flag=True, help="Only write the job's summary page; needs no token.")
@click.option("--required", is_flag=True, help="Fail if the comment cannot be posted (exit code 3).")
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
    """Post the result of RUN, the folder of a run, on its pull request, in one comment that is kept current.

    Options that are not given come from the environment of the CI job. The token always does: GITHUB_TOKEN,
    GITEA_TOKEN or GITLAB_TOKEN. If the comment cannot be posted, its text is written to comment.md in RUN,
    and the command succeeds unless --required is given.
    """
    options = CommentOptions(provider, api, repository, number, commit, link)
    draft = _draft(run, baseline, identity, options)
    if dry_run:
        put(draft.render(_max_length(provider)))
        return exit_codes.DONE
    from runner.cli.github_actions import add_summary

    noted = add_summary(draft.render(_max_length("gitlab")), os.environ)
    if summary_only:
        say("written to the job's summary" if noted else "there is no job summary to write to")
        return exit_codes.DONE
    try:
        answer(_send(draft, options))
    except PublishFailed as failure:
        return _keep(run, draft, failure, required=required)
    return exit_codes.DONE


def _draft(run: Path, baseline: Path | None, identity: str | None, options: CommentOptions) -> Draft:
    from runner.archive.results_from import read_results_of as read_results
    from runner.publish.ci_context import find_commit, find_link
    from runner.publish.comment import Draft, Origin, check_identity

    return Draft(
        results=read_results(run),
        baseline=None if baseline is None else read_results(baseline),
        origin=Origin(find_commit(options, os.environ), find_link(options, os.environ)),
        identity=check_identity(identity),
    )


def _max_length(provider: str | None) -> int:
    from runner.publish.providers import MAX_LENGTH

    return MAX_LENGTH[provider or "github"]


def _send(draft: Draft, options: CommentOptions) -> str:
    from runner.publish.ci_context import find_target
    from runner.publish.providers import open_client, open_thread
    from runner.publish.sticky_comment import publish

    target = find_target(options, os.environ)
    client = open_client(target)
    with client.http:
        thread = open_thread(target, client)
        done = publish(thread, lambda length: client.masked(draft.render(length)), draft.marker)
    return (
        f"comment {done} on {target.repository}{'!' if target.provider == 'gitlab' else '#'}{thread.number}"
    )


def _keep(run: Path, draft: Draft, failure: PublishFailed, *, required: bool) -> int:
    """Write the text to a file, print the error, and return the exit code."""
    from runner.store.run_folder import RunFolder, rescue_folder

    folder = RunFolder(run if run.is_dir() else run.parent)
    content = draft.render(_max_length(None)).encode()
    try:
        kept = folder.write(_TEXT_FILE, content)
    except OutputError:
        kept = rescue_folder().write(_TEXT_FILE, content)
    exit_codes.show_error(failure)
    say(f"the text of the comment is in {kept}")
    if required:
        return exit_codes.code_for(failure)
    say("the command succeeds nevertheless; use --required to let it fail")
    return exit_codes.DONE
