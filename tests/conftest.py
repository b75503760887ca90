"""Skips tests whose needs this machine lacks, and external checkers; with CI=true nothing is skipped."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


def _docker_answers() -> bool:
    docker = shutil.which("docker")
    return bool(docker) and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0


_NEEDS = {
    "docker": (_docker_answers, "no Docker Engine answers"),
    "nginx": (
        lambda: bool(shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")),
        "nginx is not installed",
    ),
}


_EXTERNAL = ("actionlint", "browser", "crate", "hdr", "prism")
"""Markers of tests that fetch checkers of other projects: minutes, so they run with CI=true."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("CI") == "true":
        return
    for item in items:
        if any(item.get_closest_marker(marker) for marker in _EXTERNAL):
            item.add_marker(pytest.mark.skip(reason="an external checker, runs with CI=true"))
    for marker, (present, reason) in _NEEDS.items():
        wanting = [item for item in items if item.get_closest_marker(marker)]
        if wanting and not present():
            for item in wanting:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder of 8 KiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "none", disk], check=True)
    yield disk
    subprocess.run(["umount", disk], check=True)
