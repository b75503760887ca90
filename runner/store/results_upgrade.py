"""Adds the keys that earlier versions did not write, so that their results decode like new ones."""

from __future__ import annotations

from typing import Any, Final

_EMPTY_OBJECTS: Final = ("throttling_by_subject", "tls_ms", "first_byte_ms")


def upgraded(results: dict[str, Any]) -> dict[str, Any]:
    """Return results.json of any version in the form of this one; what is malformed stays as it is.

    Args:
        results: As parsed from JSON; changed in place.
    """
    results.setdefault("scaling", [])
    if isinstance(run := results.get("run"), dict):
        run.setdefault("resumed_at", [])
    for configuration in _objects(results.get("configurations")):
        _upgrade_configuration(configuration)
    return results


def _upgrade_configuration(configuration: dict[str, Any]) -> None:
    configuration.setdefault("hypothesis", None)
    for key in ("repeats", "capacity", "cross_check"):
        configuration.setdefault(key, [])
    topology = configuration.get("topology")
    if isinstance(topology, dict) and isinstance(topology.get("command"), str):
        topology["command"] = topology["command"].split()
    load = configuration.get("load")
    timeout_s = load.get("timeout_s") if isinstance(load, dict) else None
    for stage in _objects(configuration.get("stages")):
        _upgrade_stage(stage, configuration.get("engine"), timeout_s)


def _upgrade_stage(stage: dict[str, Any], engine: object, timeout_s: object) -> None:
    stage.setdefault("engine", engine)
    stage.setdefault("timeout_s", timeout_s)
    for key in ("distribution", "calibration"):
        stage.setdefault(key, None)
    for key in ("counters", "unreadable"):
        stage.setdefault(key, [])
    for key in _EMPTY_OBJECTS:
        stage.setdefault(key, {})
    verdict = stage.get("verdict")
    experiment = verdict.get("counter_experiment") if isinstance(verdict, dict) else None
    trial = experiment.get("trial") if isinstance(experiment, dict) else None
    if isinstance(trial, dict):
        _upgrade_stage(trial, engine, timeout_s)


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
