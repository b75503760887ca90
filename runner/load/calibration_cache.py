"""Calibrations kept for a day, so that only the first run with some settings pays for one.

What is kept is named after everything that could change it: the host, the interpreter, the
generator's own code and the way of offering load.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import cattrs
import trio

from runner.core.facts import Calibration, Endpoint, Floor
from runner.core.units import PerSecond
from runner.experiment.model import Load, Stage
from runner.load.calibrate import calibrate
from runner.load.engine import LoadOrder
from runner.load.loop import plain_exchange
from runner.load.request import request_bytes

_KEPT_FOR: Final = timedelta(days=1)
_ANYWHERE: Final = Endpoint("127.0.0.1", 65_535)
_ANY_STAGE: Final = Stage(rps=1, duration=1)
_SETTINGS: Final = ("engine", "connection", "arrivals", "max_in_flight", "workers", "quantum", "cpus", "seed")


async def calibrated(
    load: Load,
    rates: Sequence[PerSecond],
    *,
    on_spawn: Callable[[int], None],
    say: Callable[[str], None],
) -> Calibration:
    """The generator's own error at some rates: from the cache, or measured now and kept.

    Args:
        load: Of the stages to come.
        rates: Of the stages to come.
        on_spawn: Told the pid of every process the moment it exists.
        say: Told that a calibration begins; silent when nothing has to be measured.

    Raises:
        EnvironmentLacks: A process did not start.
    """
    path = cache_folder() / f"{fingerprint(load)}.json"
    kept = await trio.to_thread.run_sync(_read, path)
    missing = sorted(set(rates) - {floor.target_rps for floor in kept.floors} if kept else set(rates))
    if missing:
        say(f"calibrating the {load.engine} engine at {', '.join(f'{rate:,g}' for rate in missing)} RPS")
        found = await calibrate(load, missing, on_spawn=on_spawn)
        kept = _merged(kept, found)
        await trio.to_thread.run_sync(_write, path, kept)
    assert kept is not None
    return kept


def cache_folder() -> Path:
    """Where calibrations lie: ``$XDG_CACHE_HOME/loadproof/calibration``, else below ``~/.cache``."""
    home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(home) / "loadproof" / "calibration"


def fingerprint(load: Load) -> str:
    """Names the host, the generator and the settings that a calibration is true for."""
    facts = {
        "host": [platform.node(), platform.machine(), platform.release(), os.cpu_count()],
        "may_use": sorted(os.sched_getaffinity(0)),
        "boot": _text(Path("/proc/sys/kernel/random/boot_id")),
        "python": platform.python_version(),
        "generator": [_own_code(), plain_exchange().__name__],
        "request_bytes": len(request_bytes(LoadOrder(_ANYWHERE, load, _ANY_STAGE))),
        "head": load.request.method == "HEAD",
        "load": {name: getattr(load, name) for name in _SETTINGS},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _own_code() -> str:
    """A digest of this room, so that a changed generator is calibrated anew."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*")):
        if file.suffix in {".py", ".so"}:
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _merged(kept: Calibration | None, found: Calibration) -> Calibration:
    floors: dict[PerSecond, Floor] = {floor.target_rps: floor for floor in kept.floors} if kept else {}
    floors |= {floor.target_rps: floor for floor in found.floors}
    return replace(found, floors=tuple(floors[rate] for rate in sorted(floors)))


def _read(path: Path) -> Calibration | None:
    """None when there is none, when it is old, or when it cannot be understood."""
    with suppress(OSError, ValueError, KeyError, TypeError, cattrs.BaseValidationError):
        kept = cattrs.structure(json.loads(path.read_bytes()), Calibration)
        if datetime.now(UTC) - datetime.fromisoformat(kept.made_at) < _KEPT_FOR:
            return kept
    return None


def _write(path: Path, calibration: Calibration) -> None:
    """Keep it; a folder that cannot be written costs the next run its time and nothing else."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(asdict(calibration)), encoding="utf-8")
        draft.replace(path)


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="ascii").strip()
    return ""
