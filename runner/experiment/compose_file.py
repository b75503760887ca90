"""Reads compose files as they are written, as far as something must be known before Compose reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml


def load_yaml(text: bytes | str) -> Any:
    """Return the first document of a YAML text; `text` is bounded by the caller.

    Raises:
        ValueError: It is not YAML.
    """
    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  (it is safe)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ValueError(str(error)) from None


def services_of(text: bytes | str) -> Mapping[str, Mapping[str, Any]] | None:
    """Return the services of a compose file by name; None if it is no compose file."""
    try:
        data = load_yaml(text)
    except ValueError:
        return None
    services = data.get("services") if isinstance(data, dict) else None
    if not isinstance(services, dict) or not services:
        return None
    if not all(isinstance(name, str) and isinstance(service, dict) for name, service in services.items()):
        return None
    return services
