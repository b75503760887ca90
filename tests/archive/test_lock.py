"""lock.json pins what was run, as the facts of the trials have it."""

import msgspec
from msgspec.structs import replace

from runner.archive.lock import LockedBuild, LockedEngine, lock, software
from runner.core.facts import TrialFacts
from runner.core.load_facts import LoadFacts
from runner.core.system_facts import BuildFacts, EngineFacts, ImageFacts, ProxyFacts, SystemDescription

APP = ImageFacts("loadproof/app:0a1b2c", "sha256:1", None)
BASE = ImageFacts("python:3.11", "sha256:2", "sha256:3", stands_in_for="python:3.11-slim")
SYSTEM = SystemDescription(
    kind="docker",
    engine=EngineFacts("29.0", "1.50"),
    images={"app": APP},
    env_names=("B", "A"),
    build=BuildFacts(folder="../app", content="ff", base=BASE),
    proxy=ProxyFacts(kind="nginx", version="1.29", keepalive=0, workers=1, backlog=511),
)
LOAD = LoadFacts("builtin", 1, 10, (), complete=True, clock="the kernel's")
TRIAL = TrialFacts(
    configuration="shop",
    stage="10 RPS",
    repeat=1,
    order=0,
    started_at="2026-01-02T03:04:06+00:00",
    target_rps=10,
    warmup_s=1.0,
    window_s=4.0,
    status="complete",
    load=LOAD,
    observed=None,
    topology=SYSTEM,
)


def locked(*trials: TrialFacts):
    return lock(spec=b"a", resolved=b"b", software=software(), trials=trials)


def test_a_program_has_its_own_version_and_the_builtin_engine_is_a_part_of_loadproof():
    k6 = replace(LOAD, engine="k6", engine_version="2.0.0", notes=("offered by k6 v9.9.9",))

    assert locked(TRIAL, replace(TRIAL, order=1, load=k6), replace(TRIAL, order=2, load=None)).engines == {
        "builtin": LockedEngine(version=None, part_of="loadproof"),
        "k6": LockedEngine(version="2.0.0", part_of=None),
    }


def test_a_stack_is_pinned_by_versions_images_and_content():
    system = locked(TRIAL).configurations["shop"]

    assert (system.kind, system.docker, system.nginx) == ("docker", "29.0", "1.29")
    assert system.images == {"app": APP, "base": BASE}
    assert system.env_names == ("A", "B")
    assert system.build == LockedBuild(folder="../app", context="0a1b2c", content="ff")


def test_a_stack_without_images_has_no_build():
    process = replace(TRIAL, topology=SystemDescription(kind="process"))

    assert msgspec.to_builtins(locked(process).configurations["shop"]) == {
        "kind": "process",
        "docker": None,
        "nginx": None,
        "images": {},
        "env_names": (),
    }


def test_the_installed_software_is_recorded():
    packages = software().packages

    assert packages["msgspec"] == msgspec.__version__
    assert list(packages) == sorted(packages)
    assert "pytest" not in packages
    assert locked(TRIAL).version == software().loadproof
