"""Keeps calibrations for a day, so that only the first run with given settings measures one.

A file's name depends on everything that could change its content: the host, the interpreter, the
generator's code and the load settings.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec
import trio
from msgspec.structs import replace

from runner.cache import cache_folder
from runner.core.calibration_facts import Calibration, Floor
from runner.core.endpoint import Endpoint
from runner.core.units import PerSecond
from runner.experiment.model import Load, Stage
from runner.load.calibrate import calibrate
from runner.load.calibration_load import calibration_load
from runner.load.engine import LoadOrder
from runner.load.loop import plain_exchange
from runner.load.request import request_bytes

_MAX_AGE: Final = timedelta(days=1)
_MAX_BYTES: Final = 1024 * 1024
_ANY_ENDPOINT: Final = Endpoint("127.0.0.1", 65_535)
_ANY_STAGE: Final = Stage(rps=1, duration=1)
_SETTINGS: Final = ("engine", "connection", "arrivals", "max_in_flight", "workers", "quantum", "cpus", "seed")


async def load_or_measure_calibration(
    load: Load,
    rates: Sequence[PerSecond],
    *,
    files: Mapping[str, bytes] = MappingProxyType({}),
    on_spawn: Callable[[int], None],
    say: Callable[[str], None],
) -> Calibration:
    """Return the generator's own error at some rates: from the cache, or measured now and kept.

    Args:
        load: Of the stages to come.
        rates: Of the stages to come.
        files: Those that the requests send, by their path in the specification.
        on_spawn: Called with the pid of every process as soon as it exists.
        say: Called with a sentence when a measurement begins.

    Raises:
        EnvironmentLacks: A process did not start.
    """
    load = calibration_load(load, files)
    path = _cache_file(load)
    calibration = await trio.to_thread.run_sync(_read, path) if path else None
    known = {floor.target_rps for floor in calibration.floors} if calibration else set()
    missing = sorted(set(rates) - known)
    if calibration is None or missing:
        shown = ", ".join(f"{round(rate, 1):,g}" for rate in missing)
        say(f"calibrating the {load.engine} engine at {shown} RPS")
        calibration = _merged(calibration, await calibrate(load, missing, on_spawn=on_spawn))
        if path:
            await trio.to_thread.run_sync(_write, path, calibration)
    return calibration


def _cache_file(load: Load) -> Path | None:
    """Return where the calibration of these settings is kept; None where there is no cache."""
    cache = cache_folder()
    return cache / "calibration" / f"{fingerprint(load)}.json" if cache else None


def fingerprint(load: Load) -> str:
    """Return a name for the host, the generator and the settings that a calibration is valid for."""
    facts = {
        "host": [platform.node(), platform.machine(), platform.release(), os.cpu_count()],
        "may_use": sorted(os.sched_getaffinity(0)),
        "boot": _text(Path("/proc/sys/kernel/random/boot_id")),
        "python": platform.python_version(),
        "generator": [_own_code(), plain_exchange().__name__],
        "request_bytes": len(request_bytes(LoadOrder(_ANY_ENDPOINT, load, _ANY_STAGE))),
        "head": load.request.method == "HEAD",
        "scenarios": bool(load.scenarios),
        "load": {name: getattr(load, name) for name in _SETTINGS},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _own_code() -> str:
    """Return a digest of this package, so that a changed generator is calibrated again."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*")):
        if file.suffix in {".py", ".so"}:
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _merged(cached: Calibration | None, measured: Calibration) -> Calibration:
    floors: dict[PerSecond, Floor] = {floor.target_rps: floor for floor in cached.floors} if cached else {}
    floors |= {floor.target_rps: floor for floor in measured.floors}
    return replace(measured, floors=tuple(floors[rate] for rate in sorted(floors)))


def _read(path: Path) -> Calibration | None:
    """Return None if there is none, if it is old, or if it is malformed."""
    with suppress(OSError, ValueError, TypeError):  # msgspec's errors are ValueErrors
        if not path.is_file() or path.stat().st_size > _MAX_BYTES:  # a FIFO would wait for a writer for ever
            return None
        cached = msgspec.json.decode(path.read_bytes(), type=Calibration)
        if datetime.now(UTC) - datetime.fromisoformat(cached.made_at) < _MAX_AGE:
            return cached
    return None


def _write(path: Path, calibration: Calibration) -> None:
    """Keep a calibration; if that is impossible, the next run measures again."""
    draft = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(msgspec.json.encode(calibration))
        draft.replace(path)
    with suppress(OSError):
        draft.unlink()  # of a full disk


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="ascii").strip()
    return ""
