"""What parts of a swarm are given: secrets, configs, and files of the specification's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.core.codes import Role
from runner.core.errors import EnvironmentLacks
from runner.experiment.swarm_topology import SwarmTopology
from runner.stack.swarm.placed_files import MAX_CONFIG, read_placed_files

APP = {"image": "app:1", "port": 80, "secrets": ["token", "key"], "configs": {"settings": "/etc/s.json"}}
DB = {"image": "db:1", "files": {"sql": "/init", "one.txt": "/one.txt"}, "secrets": ["key"]}


def topology(**changes: object) -> SwarmTopology:
    return SwarmTopology.model_validate(
        {
            "kind": "swarm",
            "app": APP,
            "services": {"db": DB},
            "secrets": {"token": {"env": "LP_TOKEN"}, "key": {"file": "key.pem"}},
            "configs": {"settings": {"file": "settings.json"}},
            **changes,
        }
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LP_TOKEN", "t0ken")
    (tmp_path / "sql" / "more").mkdir(parents=True)
    for name in ("key.pem", "settings.json", "one.txt", "sql/a.sql", "sql/more/b.sql"):
        (tmp_path / name).write_text(name)
    return tmp_path


async def test_each_part_is_given_its_files(folder: Path) -> None:
    files, secrets = await read_placed_files(topology(), folder)

    assert secrets == {"token": b"t0ken", "key": b"key.pem"}
    assert [(file.path, file.content, file.secret) for file in files[Role.APP]] == [
        ("/run/secrets/token", b"t0ken", True),
        ("/run/secrets/key", b"key.pem", True),
        ("/etc/s.json", b"settings.json", False),
    ]
    assert [(file.path, file.content) for file in files["db"]] == [
        ("/run/secrets/key", b"key.pem"),
        ("/init/a.sql", b"sql/a.sql"),
        ("/init/more/b.sql", b"sql/more/b.sql"),
        ("/one.txt", b"one.txt"),
    ]


async def test_no_text_shows_the_content_of_a_secret(folder: Path) -> None:
    files, _ = await read_placed_files(topology(), folder)

    assert "t0ken" not in repr(files)


async def test_a_variable_that_is_not_set_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LP_TOKEN")

    with pytest.raises(EnvironmentLacks, match=r"topology\.secrets\.token\.env: LP_TOKEN is not set"):
        await read_placed_files(topology(), folder)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        (
            "settings.json",
            None,
            r"configs\.settings: .*settings\.json cannot be read: No such file",
        ),
        ("settings.json", b"", r"topology\.configs\.settings: .* is empty"),
        (
            "settings.json",
            b"x" * (MAX_CONFIG + 1),
            r"has 1,024,000 bytes, and Docker .* accepts 1,023,999",
        ),
        ("key.pem", None, r"topology\.secrets\.key: .*key\.pem cannot be read"),
        ("one.txt", None, r"topology\.services\.db\.files: .*one\.txt cannot be read"),
    ],
)
async def test_a_file_that_cannot_be_placed_is_named(
    folder: Path, name: str, content: bytes | None, problem: str
) -> None:
    (folder / name).unlink() if content is None else (folder / name).write_bytes(content)

    with pytest.raises(EnvironmentLacks, match=problem):
        await read_placed_files(topology(), folder)


async def test_a_link_out_of_the_folder_is_refused(folder: Path) -> None:
    (folder / "one.txt").unlink()
    (folder / "one.txt").symlink_to("/etc/hostname")

    with pytest.raises(EnvironmentLacks, match="is a link out of the folder"):
        await read_placed_files(topology(), folder)
