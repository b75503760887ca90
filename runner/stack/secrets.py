"""Environment variables given by name only: the app gets their values, and no stored file contains them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import unquote, urlsplit

from runner.core.errors import EnvironmentLacks


def inherited_variables(
    names: Iterable[str], environ: Mapping[str, str], part: str = "app"
) -> dict[str, str]:
    """Return the variables with these names.

    Args:
        names: ``env_from`` of a part of the stack.
        environ: The runner's own environment.
        part: The part's place below ``topology``, such as ``services.db``.

    Raises:
        EnvironmentLacks: One is not set.
    """
    if missing := [name for name in names if name not in environ]:
        raise EnvironmentLacks(
            f"topology.{part}.env_from: {', '.join(missing)} {'are' if len(missing) > 1 else 'is'} "
            "not set in the environment",
            hint=f"run `export {missing[0]}=...` first",
        )
    return {name: environ[name] for name in names}


def inspect_secrets(urls: Mapping[str, str]) -> dict[str, str]:
    """Return name to value of what no stored text may contain of URLs with credentials.

    Args:
        urls: Service to the URL with which its statistics are read.
    """
    secrets: dict[str, str] = {}
    for service, url in urls.items():
        password = _password(url)
        if password != "":
            secrets[f"inspect of {service}"] = url
        if password:
            secrets[f"password of {service}"] = unquote(password)
    return secrets


def _password(url: str) -> str | None:
    """Return the password in a URL, empty without one; None if that cannot be read."""
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return None
