"""A small image that needs no base and no build."""

import io
import tarfile
from pathlib import Path

import docker


def import_small_image(api: docker.APIClient, repository: str, program: Path | None = None) -> str:
    """Import an image with one program, or with one empty file; returns its name, which ends with ``:1``."""
    files = io.BytesIO()
    with tarfile.open(fileobj=files, mode="w") as archive:
        if program is None:
            archive.addfile(tarfile.TarInfo("empty"))
        else:
            archive.add(program.resolve(), str(program).lstrip("/"))
    api.import_image_from_data(files.getvalue(), repository=repository, tag="1")
    return f"{repository}:1"
