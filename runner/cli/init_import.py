"""`runner init --from FILE`: a first specification from a recording, an API description or a log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from runner.cli import exit_codes
from runner.cli.output import answer_path, say
from runner.cli.specfile import write_spec
from runner.core.errors import UsageError

if TYPE_CHECKING:
    from runner.importers.draft import Draft

_MOST_SHOWN: Final = 12
"""How many lines of each kind are printed; the file has more."""


def init_from(file: Path, url: str | None, out: Path | None, name: str | None, *, insecure: bool) -> int:
    """Write a specification for the traffic in a file, which nothing is sent for; returns the exit code.

    Args:
        file: To import.
        url: Of the service; None for the one in the file.
        out: Where the specification goes; None for NAME.yaml.
        name: Of the experiment; None for one that fits the service.
        insecure: Accept any certificate.

    Raises:
        UsageError: The file cannot be read or imported, or the URL of the service is not known.
    """
    from runner.experiment.load import read_spec
    from runner.importers.fitting import fitted
    from runner.importers.spec_text import default_name, spec_text

    draft = fitted(_at(_draft(file), url, file))
    name = name or default_name(draft, file.name)
    draft = draft.with_prefix(name)
    out = out or Path(f"{name}.yaml")
    text = spec_text(draft, name, file.name, insecure=insecure)
    read_spec(text.encode(), source=str(out))
    for path, content in {**{out.parent / row: rows for row, rows in draft.files.items()}, out: text}.items():
        write_spec(path, content)
    answer_path(out)
    _say_what_it_has(draft, out)
    return exit_codes.DONE


def _draft(file: Path) -> Draft:
    from runner.importers.recognise import MAX_FILE, draft_of
    from runner.store.bounded_read import NotReadable, read_bounded

    try:
        content = read_bounded(file, MAX_FILE, "a file to import", may_be_pipe=True, on_wait=say)
    except NotReadable as error:
        raise UsageError(str(error), hint="give the path of a file to import") from None
    try:
        return draft_of(content)
    except UsageError as error:
        raise UsageError(f"cannot import {file}: {error.message}", hint=error.hint) from None


def _at(draft: Draft, url: str | None, file: Path) -> Draft:
    """Return a draft for the service at a URL."""
    if url:
        return draft.at(url)
    if not draft.url:
        hint = f"add it: runner init --from {file} http://127.0.0.1:8080"
        raise UsageError(f"{file} does not say where the service is", hint=hint)
    return draft


def _say_what_it_has(draft: Draft, out: Path) -> None:
    """Print what was taken over, what was not, and what to do next."""
    from runner.importers.spec_text import is_local, shown

    say(f"from {draft.source}: {draft.summary}")
    for title, notes in (("not taken over", draft.left_out), ("changed", draft.changed)):
        for line in shown(notes, _MOST_SHOWN):
            say(f"{title}: {line}")
    if draft.secrets:
        say(f"set before a run: {', '.join(draft.secrets)}", label="hint:", colour="cyan")
    more = "" if is_local(draft.url) else " --i-am-authorized"
    say(f"try it once with: runner try {out}; run it with: runner execute {out}{more}")
