"""`runner init`: writes a first specification for a service, which runs unmodified."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from runner.cli import exit_codes
from runner.cli.output import answer_path, say
from runner.cli.specfile import write_spec
from runner.core.errors import UsageError
from runner.core.status_advice import status_advice

if TYPE_CHECKING:
    from runner.experiment.init_template import Known

_USELESS: Final = frozenset({401, 403, 404, 407, 410})
"""Statuses of a path that does not exist, or that only requests with credentials may have."""


@click.command()
@click.argument("target", nargs=-1, type=click.UNPROCESSED, metavar="URL | COMPOSE_FILE | COMMAND...")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Take the requests from a browser's recording (HAR), an OpenAPI 3 document, a Postman collection "
    "or an access log of nginx or Apache; URL replaces the address in it.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write to FILE, not to NAME.yaml."
)
@click.option("--name", help="Name of the experiment; [a-z0-9-].")
@click.option(
    "--path", help="Path to request; by default that of URL, or the first of /healthz, /health, / that works."
)
@click.option("--insecure", is_flag=True, help="Accept any certificate of an https URL.")
def init(
    target: tuple[str, ...],
    source: Path | None,
    out: Path | None,
    name: str | None,
    path: str | None,
    insecure: bool,
) -> int:
    """Write a commented specification for a service at URL, or one that a compose file or COMMAND starts.

    `runner init` sends a few requests to your service so that the generated file works unmodified. A path
    that does not exist or needs credentials is refused. In COMMAND, {port} stands for the port; one that is
    recognised is replaced by it: --port 8080, 127.0.0.1:8080, or a number at the end.

    With --from, nothing is sent: the file says what the users of your service do.

    \b
    runner init http://127.0.0.1:8080/items
    runner init docker-compose.yml
    runner init -- uvicorn main:app --port 8000
    runner init --from recording.har
    runner init --from access.log http://127.0.0.1:8080
    """  # noqa: D301  (click looks for the character \b)
    if source is not None:
        return _init_from(source, target, out, name, path, insecure=insecure)
    if not target:
        raise click.UsageError("Missing argument 'URL | COMPOSE_FILE | COMMAND...'.")
    if file := _compose_file(target):
        return _init_compose(file, out, name, path)
    return _init_service(_words(target), out, name, path, insecure=insecure)


def _init_service(
    target: tuple[str, ...], out: Path | None, name: str | None, path: str | None, *, insecure: bool
) -> int:
    """Write a specification for a service that runs, or that a command starts."""
    from runner.experiment.init_template import first_spec, name_for
    from runner.experiment.load import read_spec

    known = _running(target[0], path, insecure=insecure) if _is_url(target) else _startable(target, path)
    _check_path(known)
    name = name or name_for(known)
    text = first_spec(known, name)
    if insecure and known.url:
        text = text.replace("\n\nload:", "\n  tls: {insecure: true}\n\nload:", 1)
    out = out or Path(f"{name}.yaml")
    read_spec(text.encode(), source=str(out))
    write_spec(out, text)
    answer_path(out)
    run = f"run the experiment with: runner execute {out}{_more(text)}"
    if known.works:
        say(f"GET {known.path} returned status {known.status}; {run}")
    else:
        what = f"{known.path} returned status {known.status}, so the file does not work as it is"
        say(what, label="warning:", colour="yellow")
        say(f"{known.advice}; then {run}", label="hint:", colour="cyan")
    return exit_codes.DONE


def _init_from(
    source: Path,
    target: tuple[str, ...],
    out: Path | None,
    name: str | None,
    path: str | None,
    *,
    insecure: bool,
) -> int:
    from runner.cli.init_import import init_from

    if path is not None:
        raise UsageError("--path has no meaning with --from: the file says what is requested")
    if target and not _is_url(target):
        raise UsageError(
            f"{' '.join(target)} is not a URL",
            hint="beside --from, give the address of the running service, such as http://127.0.0.1:8080",
        )
    url = None
    if target:
        base, base_path, _ = _split(target[0])
        url = base + base_path.rstrip("/")
    return init_from(source, url, out, name, insecure=insecure)


def _compose_file(target: tuple[str, ...]) -> Path | None:
    """Return the compose file that is the only word, if it is one."""
    from runner.experiment.compose_file import services_of
    from runner.stack.paths import read_regular

    if len(target) != 1 or not target[0].endswith((".yml", ".yaml")):
        return None
    try:
        return Path(target[0]) if services_of(read_regular(Path(target[0]))) is not None else None
    except OSError:
        return None


def _init_compose(file: Path, out: Path | None, name: str | None, path: str | None) -> int:
    """Write a specification for the services of a compose file, which are not started."""
    import os

    import trio

    from runner.execution.signals import until_signal
    from runner.experiment.init_compose import propose, topology_text
    from runner.experiment.init_template import compose_spec
    from runner.experiment.load import read_spec
    from runner.experiment.suggestions import slug
    from runner.stack.compose.probe import read_services

    services = trio.run(until_signal, lambda: read_services(file))
    proposal = propose(services)
    if proposal is None:
        raise UsageError(
            f"no service of {file} publishes or exposes a port for HTTP",
            hint='publish the one that requests go to, such as ports: ["8080"], or expose it',
        )
    name = name or slug(file.absolute().parent.name)[:40].strip("-") or "my-service"
    out = out or Path(f"{name}.yaml")
    relative = os.path.relpath(file, out.parent)
    text = compose_spec(name, topology_text([relative], proposal, services), file.name, path or "/")
    read_spec(text.encode(), source=str(out))
    write_spec(out, text)
    answer_path(out)
    say(f"load goes to port {proposal.port} of {proposal.service}; it was not started or checked")
    say(f"check target, health and request in {out}; then run the experiment with: runner execute {out}")
    return exit_codes.DONE


def _words(target: tuple[str, ...]) -> tuple[str, ...]:
    """Return the URL, or the words of the command, also of one that was quoted as a whole.

    Raises:
        UsageError: It looks like an address without a scheme, or with one that is not supported.
    """
    if _is_url(target) or len(target) != 1:
        return target
    (only,) = target
    if scheme := re.match(r"[a-z][a-z0-9+.-]*://", only, re.IGNORECASE):
        raise UsageError(f"{scheme[0]} is not supported", hint="give an address with http:// or https://")
    if re.fullmatch(r"[\w.-]+:\d{1,5}(/\S*)?", only):
        raise UsageError(f"{only} is not a URL", hint=f"write http://{only} for a service that runs there")
    try:
        return tuple(shlex.split(only))
    except ValueError as error:
        raise UsageError(f"{only} is not a command: {error}", hint="write its words after --") from None


def _is_url(target: tuple[str, ...]) -> bool:
    return len(target) == 1 and target[0].startswith(("http://", "https://"))


def _check_path(known: Known) -> None:
    """Refuse a path that no load can be sent to: every request would fail.

    Raises:
        UsageError: It does not exist, or needs credentials.
    """
    if known.status not in _USELESS:
        return
    if known.health and known.health != known.path:
        hint = f"choose another path: --path {shlex.quote(known.health)} works"
    else:
        hint = "choose a path of this service that returns 2xx: --path /PATH"
    raise UsageError(f"{known.path} returned status {known.status}: {known.advice}", hint=hint)


def _more(text: str) -> str:
    return " --i-am-authorized" if "\n  allow_hosts:" in text else ""


def _running(url: str, path: str | None, *, insecure: bool) -> Known:
    import trio

    from runner.experiment.init_template import Known
    from runner.stack.listening_processes import serving
    from runner.stack.service_probe import probe_url

    base, path_of_url, port = _split(url)
    probe = trio.run(lambda: probe_url(base, path or path_of_url, insecure=insecure))
    local = any(f"//{host}" in base for host in ("127.", "localhost", "[::1]"))
    return Known(
        url=base,
        path=probe.path,
        status=probe.status,
        health=probe.health,
        advice=status_advice(probe.status, probe.sample),
        pids=serving(port) if local else (),
    )


def _split(url: str) -> tuple[str, str, int]:
    """Return scheme with host, path with query, and port."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise UsageError(f"{url} is not a URL: {error}") from None
    if not parts.hostname or parts.username is not None:
        what = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        raise UsageError(
            f"{what} is not the URL of a service",
            hint="give a URL such as http://127.0.0.1:8080/items, without user and password",
        )
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}", (parts.path or "/") + query, port


def _startable(command: tuple[str, ...], path: str | None) -> Known:
    import trio

    from runner.execution.signals import until_signal
    from runner.experiment.app import PORT_FIELD
    from runner.experiment.init_template import Known, with_port_field
    from runner.stack.service_probe import probe_command

    words = with_port_field(command)
    if not any(PORT_FIELD in word for word in words):
        raise UsageError(
            f"no port was recognised in: {' '.join(command)}",
            hint="write {port} in its place, such as: runner init -- my-server --port {port}",
        )
    probe = trio.run(until_signal, lambda: probe_command(words, path))
    return Known(
        command=words,
        path=probe.path,
        status=probe.status,
        health=probe.health,
        advice=status_advice(probe.status, probe.sample),
    )
