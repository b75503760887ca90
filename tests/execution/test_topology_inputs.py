"""The files that describe a system are inputs of its run; those with values of variables are not kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.core.errors import EnvironmentLacks
from runner.execution.inputs import read_inputs, topology_files_outside
from runner.experiment.compose_topology import ComposeTopology
from runner.experiment.swarm_topology import SwarmTopology


def topology(**keys: object) -> ComposeTopology:
    target = {"service": "web", "port": 80}
    return ComposeTopology.model_validate({"kind": "compose", "target": target, "files": ["a/c.yml"], **keys})


def test_compose_files_are_kept_and_the_default_env_file_only_by_its_digest(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/c.yml").write_bytes(b"services: {}")
    (tmp_path / "a/.env").write_bytes(b"TOKEN=x")
    inputs = read_inputs([], tmp_path, topologies=[topology()])

    assert inputs.files == {"a/c.yml": b"services: {}", "a/.env": b"TOKEN=x"}
    assert inputs.with_secrets == ("a/.env",)


def test_given_env_files_replace_the_default_one(tmp_path: Path) -> None:
    assert topology(env_files=["b.env"]).private_files == ("b.env",)


def test_a_compose_file_that_does_not_exist_is_named_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentLacks, match=r"there is no file a/c\.yml") as refused:
        read_inputs([], tmp_path, topologies=[topology()])

    assert refused.value.hint == f"topology.files names it; it is sought in {tmp_path}"


def test_the_config_of_a_swarm_that_does_not_exist_is_named_by_its_key(tmp_path: Path) -> None:
    app = {"image": "a", "port": 80, "configs": {"c": "/etc/c"}}
    swarm = {"kind": "swarm", "app": app, "configs": {"c": {"file": "c.json"}}}

    with pytest.raises(EnvironmentLacks, match=r"topology\.configs\.c: .*c\.json cannot be read"):
        read_inputs([], tmp_path, topologies=[SwarmTopology.model_validate(swarm)])


def test_files_outside_the_folder_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "c.yml").touch()
    inside = tmp_path / "inside"
    inside.mkdir()

    assert topology_files_outside([topology(files=["../c.yml"])], inside) == ("../c.yml",)
