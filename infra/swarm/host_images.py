"""Gives an engine that has not started yet images of this machine's own engine, by its files.

`docker export` and `import` of the same images take seven times as much CPU, which a session of tests spends
before its first test.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infra.swarm.namespaces import run

_DRIVER = "overlay2"


def borrow_images(names: Sequence[str], target: Path) -> list[str]:
    """Copy images into the data folder of an engine, with their ids.

    Args:
        names: Of images of this machine's own engine.
        target: The data folder; it is made.

    Returns:
        The names of those that could not be copied: the engine keeps images in another form, or its files
        are not on this machine.
    """
    root = _folder_of_images() if names else None
    if root is None:
        return list(names)
    (target / _DRIVER / "l").mkdir(parents=True)
    repositories: dict[str, dict[str, str]] = {}
    for name in names:
        described = json.loads(run("docker", "image", "inspect", name))[0]
        _copy_image(root, target, described)
        repositories.setdefault(name.rpartition(":")[0], {})[name] = described["Id"]
    (target / "image" / _DRIVER / "repositories.json").write_text(json.dumps({"Repositories": repositories}))
    return []


def _folder_of_images() -> Path | None:
    """Return the data folder of this machine's engine; None if images are not in it in a known form."""
    root, driver = run("docker", "info", "--format", "{{.DockerRootDir}} {{.Driver}}").strip().rsplit(" ", 1)
    files = Path(root) / "image" / _DRIVER / "layerdb" / "sha256"
    return Path(root) if driver == _DRIVER and files.is_dir() else None


def _copy_image(root: Path, target: Path, described: dict[str, Any]) -> None:
    _copy(root, target, Path("image", _DRIVER, "imagedb", "content", *described["Id"].split(":")))
    chain = ""
    for layer in described["RootFS"]["Layers"]:
        chain = f"sha256:{hashlib.sha256(f'{chain} {layer}'.encode()).hexdigest()}" if chain else layer
        record = Path("image", _DRIVER, "layerdb", *chain.split(":"))
        content = Path(_DRIVER, (root / record / "cache-id").read_text())
        if not (target / record).exists():
            _copy(root, target, record)
            _copy(root, target, content)
            _copy(root, target, Path(_DRIVER, "l", (root / content / "link").read_text()))


def _copy(root: Path, target: Path, part: Path) -> None:
    (target / part).parent.mkdir(parents=True, exist_ok=True)
    run("cp", "--archive", root / part, target / part)
