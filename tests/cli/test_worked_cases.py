"""The examples of scenarios: the service's own counts are those of the report, to the last step.

The service refuses cookies and carts of other users, and codes and tokens that are used twice.
"""

import json
import shutil
from collections import Counter

import pytest
import yaml

from tests.app_server.conftest import serving
from tests.cli.conftest import ROOT, Cli

EXAMPLES = ROOT / "experiments"
CASES = ("login", "checkout", "notes", "upload")
STAGES = [{"users_per_s": 40, "duration": "500ms"}, {"users": 4, "duration": "500ms"}]
FILE_BYTES = (EXAMPLES / "data" / "products.csv").stat().st_size


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """Return what the service counted in a run of all cases, and the report's parts by case."""
    folder = tmp_path_factory.mktemp("cases")

    shutil.copytree(EXAMPLES / "data", folder / "data")
    with serving() as service:
        spec = folder / "cases.yaml"
        spec.write_text(yaml.safe_dump(all_cases(service.url)))
        words = ("execute", spec, "--out", "run", "--no-preflight", "--quiet")
        done = Cli(folder)(*words)
        assert done.returncode in {0, 4}, done.stderr  # a busy machine can make a stage invalid
        counts = Counter(service.get("/counts").json())
    results = json.loads((folder / "run" / "results.json").read_text())
    return counts, {one["name"]: one["stages"] for one in results["configurations"]}


def all_cases(url: str) -> dict:
    examples = [yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text()) for name in CASES]
    return {
        "version": 1,
        "name": "cases",
        "title": "Cases",
        "objective": "Count.",
        "topology": {"kind": "external", "url": url},
        "stages": STAGES,
        "cooldown": "0s",
        "thresholds": ["scenario_errors == 0%", "errors == 0%"],
        "configurations": [{"name": one["name"], "load": one["load"]} for one in examples],
    }


def steps_of(stages) -> Counter:
    """Return how many requests of each step succeeded, in all stages."""
    steps: Counter[str] = Counter()
    for stage in stages:
        for name, part in stage["parts"].items():
            if "/" in name:
                steps[name] += part["requests"]["succeeded"]
                assert part["requests"]["failed"] == 0
    return steps


def users_of(stages) -> Counter:
    """Return how many users completed each scenario."""
    users: Counter[str] = Counter()
    for stage in stages:
        assert stage["scenarios"]["completed"] == stage["scenarios"]["scheduled"] > 0
        for name, part in stage["parts"].items():
            if "/" not in name:
                users[name] += part["scenarios"]["completed"]
    return users


def test_each_user_logs_in_and_uses_codes_and_tokens_once(counted):
    counts, stages = counted
    steps, users = steps_of(stages["login"]), users_of(stages["login"])["log-in"]

    assert set(steps.values()) == {users}
    assert counts["oidc_pages"] == counts["oidc_logins"] == counts["oidc_tokens"] == users
    assert counts["oidc_refreshes"] == users
    assert counts["oidc_user_infos"] == 2 * users
    refused = ("oidc_refused", "oidc_foreign_cookies", "oidc_bad_codes", "oidc_bad_refreshes")
    assert sum(counts[name] for name in refused) == 0


def test_each_customer_pays_its_own_cart_once(counted):
    counts, stages = counted
    steps, users = steps_of(stages["checkout"]), users_of(stages["checkout"])
    first = stages["checkout"][0]["parts"]

    assert counts["store_lists"] == steps["look/list"] + steps["buy/list"] == users.total()
    assert counts["store_views"] == steps["look/item"] == 6 * users["look"]
    assert counts["store_ratings"] == steps["buy/rate"]
    assert counts["store_lines"] == steps["buy/add"] == 2 * users["buy"]
    assert counts["store_carts"] == counts["store_payments"] == steps["buy/pay"] == users["buy"]
    assert counts["store_foreign_carts"] == counts["store_refused"] == 0
    assert [first[name]["scenarios"]["scheduled"] for name in ("look", "buy")] == [15, 5]


def test_each_note_is_updated_and_deleted_by_its_id(counted):
    counts, stages = counted
    steps, users = steps_of(stages["notes"]), users_of(stages["notes"])["note"]

    assert counts["notes_created"] == counts["notes_deleted"] == users
    assert counts["notes_updated"] == steps["note/update"] == 3 * users
    assert counts["notes_read"] == counts["notes_refused"] == steps["note/gone"] == users


def test_each_file_arrives_whole_in_four_pieces(counted):
    counts, stages = counted
    steps, users = steps_of(stages["upload"]), users_of(stages["upload"])["upload"]

    assert counts["uploads_created"] == counts["uploads_completed"] == steps["upload/check"] == users
    assert counts["uploads_pieces"] == steps["upload/piece"] == 4 * users
    assert counts["uploads_bytes"] == FILE_BYTES * users
    assert counts["uploads_bad_offsets"] == counts["uploads_refused"] == 0
