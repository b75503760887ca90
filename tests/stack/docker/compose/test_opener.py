"""A compose file runs as it is: its services are observed by their names, and what the user has stays."""

import json
import urllib.request

import pytest
import trio

from runner.core.codes import Role
from runner.core.errors import EnvironmentLacks
from tests.stack.docker.compose.conftest import KEPT_VOLUME, failure, objects_of

pytestmark = pytest.mark.docker


def get(endpoint, path):
    with urllib.request.urlopen(f"http://{endpoint.host}:{endpoint.port}{path}", timeout=10) as response:
        return response.read().decode()


def test_load_goes_to_the_published_port_of_the_target(running):
    stack = running.stack

    assert (stack.endpoint.host, stack.broken) == ("127.0.0.1", None)
    assert get(stack.endpoint, "/") != get(stack.endpoint, "/store")


def test_each_service_is_observed_by_its_own_name_and_the_target_is_the_app(running):
    roles = {it.name: it.role for it in running.stack.subjects}
    kinds = {it.name: it.kind for it in running.stack.subjects}

    assert (roles["app"], roles["store"], kinds["store"]) == (Role.APP, "store", "cgroup")
    assert roles["docker-proxy"] == Role.FORWARDER
    assert "seed" not in roles
    assert [it.name for it in running.stack.subjects][:2] == ["store", "app"]


def test_the_description_has_images_limits_and_names_of_variables(running):
    described = running.stack.description

    assert (described.kind, described.files) == ("compose", ("docker-compose.yml",))
    assert (described.limits.cpus, described.limits.memory_mib) == (0.5, 128)
    assert described.images["app"].id.startswith("sha256:")
    assert described.env_names == ("API_TOKEN", "GREETING")
    assert described.build.folder == "web"
    assert len(described.build.content) == 64
    assert described.services["store"].origin == "compose"
    assert described.services["store"].image.id.startswith("sha256:")


def test_values_of_variables_from_outside_are_masked_where_their_names_are_those_of_secrets(running):
    output = trio.run(running.stack.app_output)

    assert running.stack.secrets == {"API_TOKEN": "hidden-value-1"}
    assert output == ("the secret is [API_TOKEN]",)


def test_a_volume_with_a_fixed_name_is_replaced_by_one_of_this_run(running, api):
    names = objects_of(api, running.context.run_id)

    assert KEPT_VOLUME not in names
    assert any(name.endswith("-shop_data") for name in names)
    assert any(name.endswith("-shop_default") for name in names)


def test_the_project_carries_the_owner_so_that_it_is_removed_after_kill_9(running):
    override = json.loads(running.files["compose.override.yml"])

    parts = [*override["services"].values(), *override["networks"].values(), *override["volumes"].values()]
    assert {part["labels"]["loadproof.run"] for part in parts} == {running.context.run_id}
    assert all("loadproof.owner-pid" in part["labels"] for part in parts)
    assert running.recorder.processes == {it.pid for it in running.stack.containers}
    assert len(running.recorder.engines) == 1


def test_programs_run_inside_a_service(running):
    async def run():
        return await running.stack.run_inside("store", ["cat", "/data/seeded"], env={}, within=10)

    assert trio.run(run).status == 0
    assert set(running.stack.parts) == {"app", "store"}


async def test_a_name_that_another_container_has_is_not_taken_from_it(compose, api, running):
    holder = running.stack.containers[0]
    name = api.inspect_container(holder.id)["Name"].lstrip("/")
    error = await failure(compose({"web": {"container_name": name}}))

    assert f"fixed container_name {name}, and a container" in error.message
    assert running.context.run_id in error.message
    assert holder.alive


def test_a_part_has_the_name_of_its_service_beside_its_role(running):
    async def run(part):
        return await running.stack.run_inside(part, ["true"], env={}, within=10)

    assert trio.run(run, "web").status == 0
    with pytest.raises(EnvironmentLacks) as raised:
        trio.run(run, "nothing")
    assert raised.value.hint == "parts are app, store and web"


def test_services_have_an_address_for_this_host_and_one_for_the_other_containers(running):
    here, inside = running.stack.addresses(None), running.stack.addresses("store")

    assert here["web"] == here["app"] == (here["app"][0], 8080)
    assert here["store"][0].count(".") == 3
    assert (inside["web"], inside["app"]) == (("web", 8080), ("web", 8080))
    assert inside["store"][0] == "store"
