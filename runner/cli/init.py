"""`runner init`: a first specification for a service of one's own, which runs as written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click

from runner.cli import exit_codes
from runner.core.errors import OutputError, UsageError
from runner.experiment.init_template import Known, first_spec, name_for, with_port_field
from runner.experiment.load import read_spec
from runner.experiment.topology import PORT_FIELD


@click.command()
@click.argument("target", nargs=-1, required=True, type=click.UNPROCESSED, metavar="URL | COMMAND...")
@click.option("--out", type=click.Path(path_type=Path), help="Write here, not to NAME.yaml.")
@click.option("--name", help="Of the experiment; [a-z0-9-].")
@click.option(
    "--path", help="What to ask for; the URL's path, or the first of /healthz, /health, / that answers."
)
@click.option("--insecure", is_flag=True, help="Accept any certificate of an https URL.")
def init(
    target: tuple[str, ...], out: Path | None, name: str | None, path: str | None, insecure: bool
) -> int:
    r"""Write a commented specification for a service that runs at URL, or that COMMAND starts.

    The service is asked a few times, so that what is written runs as it stands. In COMMAND, {port} is
    where the port goes; a port that can be recognised is replaced by it.

    \b
    runner init http://127.0.0.1:8080/items
    runner init -- uvicorn main:app --port 8000
    """
    target = _words(target)
    known = _running(target[0], path, insecure=insecure) if _is_url(target) else _startable(target, path)
    name = name or name_for(known)
    text = first_spec(known, name)
    if insecure and known.url:
        text = text.replace("\n\nload:", "\n  tls: {insecure: true}\n\nload:", 1)
    out = out or Path(f"{name}.yaml")
    read_spec(text.encode(), source=str(out))
    _write(out, text)
    click.echo(out)
    click.echo(
        f"it answers {known.status} at {known.path}; run it with: runner execute {out}{_more(text)}", err=True
    )
    return exit_codes.DONE


def _words(target: tuple[str, ...]) -> tuple[str, ...]:
    """The URL, or the command's words, also of one that was quoted as a whole.

    Raises:
        UsageError: It looks like an address without a scheme, or with one that is not spoken.
    """
    if _is_url(target) or len(target) != 1:
        return target
    (only,) = target
    if found := re.match(r"[a-z][a-z0-9+.-]*://", only, re.IGNORECASE):
        raise UsageError(f"{found[0]} is not spoken here", hint="give an address with http:// or https://")
    if re.fullmatch(r"[\w.-]+:\d{1,5}(/\S*)?", only):
        raise UsageError(f"{only} is no URL", hint=f"write http://{only} for a service that runs there")
    try:
        return tuple(shlex.split(only))
    except ValueError as error:
        raise UsageError(f"{only} is no command: {error}", hint="write its words after --") from None


def _is_url(target: tuple[str, ...]) -> bool:
    return len(target) == 1 and target[0].startswith(("http://", "https://"))


def _more(text: str) -> str:
    return " --i-am-authorized" if "\n  allow_hosts:" in text else ""


def _running(url: str, path: str | None, *, insecure: bool) -> Known:
    import trio

    from runner.stack.service_probe import explore_url, listeners_on

    base, asked, port = _split(url)
    found = trio.run(lambda: explore_url(base, path or asked, insecure=insecure))
    local = any(f"//{host}" in base for host in ("127.", "localhost", "[::1]"))
    return Known(
        url=base,
        path=found.path,
        status=found.status,
        health=found.health,
        pids=listeners_on(port) if local else (),
    )


def _split(url: str) -> tuple[str, str, int]:
    """Scheme with host, path with query, and the port."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise UsageError(f"{url} is no URL: {error}") from None
    if not parts.hostname or parts.username is not None:
        what = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        raise UsageError(
            f"{what} is no URL of a service",
            hint="such as http://127.0.0.1:8080/items, without user and password",
        )
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}", (parts.path or "/") + query, port


def _startable(command: tuple[str, ...], path: str | None) -> Known:
    import trio

    from runner.stack.service_probe import explore_command

    words = with_port_field(command)
    if not any(PORT_FIELD in word for word in words):
        raise UsageError(
            f"no port can be recognised in: {' '.join(command)}",
            hint="write {port} where it goes, such as: runner init -- my-server --port {port}",
        )
    found = trio.run(explore_command, words, path)
    return Known(command=words, path=found.path, status=found.status, health=found.health)


def _write(out: Path, text: str) -> None:
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{out} exists already", hint="choose another file with --out") from None
    except OSError as error:
        raise OutputError(
            f"cannot write {out}: {error.strerror}", hint="choose another file with --out"
        ) from None
