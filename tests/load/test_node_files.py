"""Files that workers read on nodes: brought once, complete, and refused if that is impossible."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from runner.core.endpoint import Tls
from runner.core.errors import EnvironmentLacks
from runner.load import node_files
from runner.load.file_keeper import PART
from runner.load.values import RowValues
from tests.load.local_nodes import LocalCluster
from tests.load.orders import order

ROWS = RowValues("lines", "", (), "rows", 0, "index", 1, 0, None)


@pytest.fixture
async def cluster():
    cluster = LocalCluster({"node-1": 0, "node-2": 0})
    yield cluster
    await cluster.close()


@pytest.fixture
def files(cluster):
    return node_files.NodeFiles(lambda node: cluster.open(node, "runner.load.file_keeper"))


async def test_certificates_and_rows_of_any_length_arrive_whole(files, tmp_path):
    contents = {"ca": b"certificate", "rows": b"r" * (2 * PART + 1), "index": b""}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    rows = replace(ROWS, path=str(tmp_path / "rows"), index=str(tmp_path / "index"))

    here = order(1, tls=Tls("host", str(tmp_path / "ca")), variables={"row": rows})
    there = await files.localized("node-1", here)

    own = there.variables["row"]
    paths = {"ca": there.tls.ca_file, "rows": own.path, "index": own.index}
    assert all(path.startswith("/proc/") for path in paths.values())
    assert {name: Path(path).read_bytes() for name, path in paths.items()} == contents


async def test_each_file_is_brought_to_each_node_once(files, cluster, tmp_path):
    (tmp_path / "ca").write_bytes(b"certificate")
    one = order(1, tls=Tls("host", str(tmp_path / "ca")))

    first, again = [(await files.localized("node-1", one)).tls.ca_file for _ in range(2)]
    other = (await files.localized("node-2", one)).tls.ca_file

    assert first == again != other
    assert {node: len(started) for node, started in cluster.started.items()} == {"node-1": 1, "node-2": 1}


async def test_nodes_trust_the_authorities_of_this_machine(files, monkeypatch, tmp_path):
    (tmp_path / "system").write_bytes(b"system")
    monkeypatch.setattr(node_files, "_system_authorities", lambda: str(tmp_path / "system"))

    trusting = await files.localized("node-1", order(1, tls=Tls("host")))
    careless = await files.localized("node-1", order(1, tls=Tls("host", insecure=True)))

    assert Path(trusting.tls.ca_file).read_bytes() == b"system"
    assert careless.tls == Tls("host", insecure=True)


async def test_a_file_that_does_not_arrive_is_named_with_the_node(files, cluster, tmp_path):
    (tmp_path / "ca").write_bytes(b"certificate")
    cluster.open = lambda node, module: LocalCluster.open(cluster, node, "this")

    with pytest.raises(EnvironmentLacks, match=r"ca could not be brought to node-1"):
        await files.localized("node-1", order(1, tls=Tls("host", str(tmp_path / "ca"))))


async def test_a_file_that_is_too_large_is_refused(files, monkeypatch, tmp_path):
    (tmp_path / "ca").write_bytes(b"certificate")
    monkeypatch.setattr(node_files, "LARGEST", 5)

    with pytest.raises(EnvironmentLacks, match="too large for the memory of a node"):
        await files.localized("node-1", order(1, tls=Tls("host", str(tmp_path / "ca"))))
