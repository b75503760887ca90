import json

import pytest

from runner.archive.files import content
from runner.archive.lock import software
from runner.archive.provenance import PROVENANCE, SOFTWARE, json_file
from runner.store.chart_process import draw
from tests.archive.folders import fresh_run


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> dict[str, bytes]:
    """The files of a real run's archive, without the manifest; tests change copies."""
    run = fresh_run("docker-4k", tmp_path_factory.mktemp("real") / "run")
    (run / PROVENANCE).mkdir()
    (run / PROVENANCE / SOFTWARE).write_bytes(json_file(software()))
    return content(run)


@pytest.fixture(autouse=True, scope="session")
def _draw_each_chart_once():
    """Drawing takes a second, and most tests render or verify the same charts."""
    drawn = {}

    def remembered(charts):
        key = json.dumps([(chart.title, chart.subtitle, chart.spec) for chart in charts])
        if key not in drawn:
            drawn[key] = draw(charts)
        return drawn[key]

    with pytest.MonkeyPatch.context() as patch:
        for user in ("runner.archive.verify_charts", "runner.store.chart_process"):
            patch.setattr(f"{user}.draw", remembered)
        yield
