"""What parts of a swarm are given: secrets, configs, and files of the specification's folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.cli.specfile import parse_spec
from runner.core.codes import Role
from runner.core.errors import EnvironmentLacks, SpecificationError
from runner.execution.inputs import read_inputs
from runner.experiment.swarm_topology import SwarmTopology
from runner.stack.swarm import placed_files
from runner.stack.swarm.placed_files import MAX_CONFIG, MAX_SECRET, read_placed_files

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
    ("value", "problem"),
    [("", "LP_TOKEN is empty"), ("x" * 20_000, "LP_TOKEN has 20,000 bytes, and Docker Swarm accepts 10,000")],
)
async def test_a_variable_that_no_swarm_takes_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, value: str, problem: str
) -> None:
    monkeypatch.setenv("LP_TOKEN", value)
    monkeypatch.setattr(placed_files, "MAX_SECRET", 10_000)  # one variable has less than the real bound

    with pytest.raises(EnvironmentLacks, match=rf"topology\.secrets\.token\.env: {problem}"):
        await read_placed_files(topology(), folder)


def test_a_run_reads_them_before_anything_starts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LP_TOKEN")

    with pytest.raises(EnvironmentLacks, match=r"LP_TOKEN is not set"):
        read_inputs([], folder, topologies=[topology()])


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("settings.json", None, "topology.configs.settings.file: there is no file settings.json"),
        ("settings.json", b"", "topology.configs.settings.file: settings.json is empty"),
        ("key.pem", b"", "topology.secrets.key.file: key.pem is empty"),
        (
            "key.pem",
            b"x" * (MAX_SECRET + 1),
            "topology.secrets.key.file: key.pem is larger than 512,000 bytes: it has 512,001",
        ),
    ],
)
def test_a_specification_whose_files_no_swarm_takes_is_invalid(
    folder: Path, file: str, content: bytes | None, problem: str
) -> None:
    (folder / file).unlink() if content is None else (folder / file).write_bytes(content)
    text = json.dumps(
        {
            "version": 1,
            "name": "s",
            "topology": topology().model_dump(mode="json", exclude_unset=True),
            "stages": [{"rps": 1, "duration": "1s"}],
        }
    )

    with pytest.raises(SpecificationError) as invalid:
        parse_spec(text.encode(), "s.yaml", base_dir=folder)

    assert len(invalid.value.problems) == 1
    assert problem in str(invalid.value.problems[0])


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


async def test_a_secret_that_is_too_large_is_not_to_be_put_into_an_image(folder: Path) -> None:
    (folder / "key.pem").write_bytes(b"x" * (MAX_SECRET + 1))

    with pytest.raises(EnvironmentLacks, match=r"topology\.secrets\.key: .* has 512,001 bytes") as refused:
        await read_placed_files(topology(), folder)

    assert "make it smaller" in refused.value.hint
    assert "build an image" not in refused.value.hint
