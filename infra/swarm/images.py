"""Brings images from one engine of this machine to others, without a registry."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from infra.swarm.namespaces import run

_LAYER = "layer.tar"
_CHUNK = 1024 * 1024


def copy_images(source: Path, target: Path) -> None:
    """Give an engine that has never run all images of another one.

    The files of layers are never written to, so they are shared as hard links; the engine's own records
    are copied.

    Args:
        source: The other engine's data folder; no image may be built or loaded there meanwhile.
        target: The data folder to make.
    """
    target.mkdir(parents=True)
    run("cp", "--archive", source / "image", target / "image")
    run("cp", "--archive", "--link", source / "overlay2", target / "overlay2")


def bring_images(names: Sequence[str], url: str) -> None:
    """Bring images of this machine's own engine to another one, each as a single layer with an id of its own.

    `docker save` would write them to the disk first, which takes much longer.
    """
    with ThreadPoolExecutor() as threads:
        for _ in threads.map(partial(_bring, url), names):
            pass  # what one raises is raised here


def _bring(url: str, name: str) -> None:
    config = json.loads(run("docker", "image", "inspect", "--format", "{{json .Config}}", name))
    container = run("docker", "create", name, "true").strip()
    try:
        _import(container, name, url, _changes(config))
    finally:
        run("docker", "rm", container)


def _import(container: str, name: str, url: str, changes: list[str]) -> None:
    words = [word for change in changes for word in ("--change", change)]
    with subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE) as exported:
        run("docker", "--host", url, "import", *words, "-", name, stdin=exported.stdout)
    if exported.returncode:
        raise RuntimeError(f"docker export of {name}: status {exported.returncode}")


def _changes(config: dict[str, Any]) -> list[str]:
    return [
        *(f"ENV {variable}" for variable in config.get("Env") or ()),
        *(f"LABEL {name}={value}" for name, value in (config.get("Labels") or {}).items()),
        *(f"{word.upper()} {json.dumps(config[word])}" for word in ("Cmd", "Entrypoint") if config.get(word)),
        *(
            f"{word.upper()} {config[key]}"
            for word, key in (("user", "User"), ("workdir", "WorkingDir"))
            if config.get(key)
        ),
    ]


@contextmanager
def thin_archive(url: str, image: str, targets: Sequence[str]) -> Iterator[Path]:
    """Write what `docker load` needs to add an image of one engine to others.

    Layers that all of them have already are left out: they do not read them.
    """
    known = set.intersection(*map(_layers, targets))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "image.tar"
        command = ["docker", "--host", url, "save", image]
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE) as saved,
            tarfile.open(fileobj=saved.stdout, mode="r|") as whole,
            tarfile.open(path, "w") as thin,
        ):
            for member in whole:
                _copy(whole, thin, member, known, Path(folder) / "member")
        yield path


def _copy(
    whole: tarfile.TarFile, thin: tarfile.TarFile, member: tarfile.TarInfo, known: set[str], scratch: Path
) -> None:
    content = whole.extractfile(member) if member.isfile() else None
    if content is None:
        thin.addfile(member)
        return
    digest = hashlib.sha256()
    with scratch.open("wb+") as copy:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            copy.write(chunk)
        if Path(member.name).name == _LAYER and f"sha256:{digest.hexdigest()}" in known:
            return
        copy.seek(0)
        thin.addfile(member, copy)


def _layers(url: str) -> set[str]:
    """Return the layers of all images of an engine."""
    images = set(run("docker", "--host", url, "image", "ls", "--no-trunc", "--quiet").split())
    if not images:
        return set()
    form = "{{json .RootFS.Layers}}"
    lists = run("docker", "--host", url, "image", "inspect", "--format", form, *images).splitlines()
    return {layer for line in lists for layer in json.loads(line)}
