"""Prevents load on the wrong machine by a typo: any host but this machine must be allowed twice.

Once in the specification (``load.allow_hosts``) and once on the command line
(``--i-am-authorized``). The check applies to the addresses that are really connected to.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Sequence

from runner.core.errors import StackFailed, UsageError
from runner.experiment.model import Configuration, Load
from runner.experiment.url import host_of, is_loopback


def addresses_of(host: str, port: int) -> tuple[str, ...]:
    """Return all addresses of a host, in the order the system prefers.

    Raises:
        StackFailed: It has none.
    """
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StackFailed(
            f"the host {host} cannot be resolved: {reason}", hint="correct the url in the specification"
        ) from None
    return tuple(dict.fromkeys(str(address[0]) for *_, address in infos))


def check_target(
    host: str, addresses: Sequence[str], *, allow_hosts: Collection[str], authorized: bool
) -> None:
    """Check that load on a host is allowed.

    Args:
        host: As in the url, in the form of `runner.experiment.url.plain_host`.
        addresses: Its addresses; a single one that is not loopback needs permission.
        allow_hosts: ``load.allow_hosts``.
        authorized: Whether ``--i-am-authorized`` was given.

    Raises:
        UsageError: It is not this machine and was not allowed twice.
    """
    remote = next((address for address in addresses if not is_loopback(address)), None)
    if remote is None:
        return
    where = (
        f"{host} is not this machine" if host == remote else f"{host} is {remote}, which is not this machine"
    )
    if host not in allow_hosts:
        raise UsageError(
            f"{where}, and load.allow_hosts does not name it",
            hint=f'if you are authorized to put load on it, add allow_hosts: ["{host}"] to load in the '
            "specification and run again with --i-am-authorized",
        )
    if not authorized:
        raise UsageError(
            f"{where}: confirm that you are authorized to put load on it",
            hint="if you are, run again with --i-am-authorized",
        )


def check_configurations(configurations: Collection[Configuration], *, authorized: bool) -> None:
    """Check that load on all external services is allowed, and on hosts that redirects may lead to.

    A name that does not resolve is skipped here: opening its stack reports it.

    Raises:
        UsageError: Load on one of them is not allowed.
    """
    for configuration in configurations:
        for host in configuration.load.hosts_to_follow:
            _check_host(host, configuration.load, authorized=authorized)
        url = configuration.topology.external_url
        if url is None:
            continue
        _check_host(host_of(url), configuration.load, authorized=authorized)


def _check_host(host: str, load: Load, *, authorized: bool) -> None:
    try:
        addresses = addresses_of(host, 0)
    except StackFailed:
        return
    check_target(host, addresses, allow_hosts=load.allow_hosts, authorized=authorized)
