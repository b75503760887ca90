import pytest

from runner.archive.files import content
from tests.archive.folders import fresh_run


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> dict[str, bytes]:
    """The files of a real run's archive, without the manifest; tests change copies."""
    return content(fresh_run("docker-4k", tmp_path_factory.mktemp("real") / "run"))
