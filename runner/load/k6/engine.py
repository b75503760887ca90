"""Engine `k6`: starts k6 paused, begins its schedule on time, and supervises it.

k6 may die, hang or print anything. Before the schedule begins that is an error of the environment, afterwards
a fact of the stage. In both cases no process and no file is left.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Final

import trio

from runner.core.errors import EnvironmentLacks
from runner.core.load_facts import LoadFacts, LoadSecond
from runner.core.masking import mask_lines
from runner.core.units import Seconds
from runner.experiment.model import Load
from runner.load.engine import LoadOrder, LoadStarted
from runner.load.inputs import Constant
from runner.load.k6.api import Api, free_port
from runner.load.k6.binary import environment, find_k6
from runner.load.k6.facts import Ending, load_facts
from runner.load.k6.plan import Plan, plan_of, script_order
from runner.load.k6.process import K6Process, spawn
from runner.load.k6.requests import environment_of
from runner.load.k6.schedule import Schedule, run_while_alive
from runner.load.k6.summary import Totals, read_summary
from runner.load.k6.timeline import corrected

READY_S: Final[Seconds] = 60.0
"""How long k6 may take to create its virtual users."""

_READY_BEAT_S: Final[Seconds] = 0.02
_SCRIPT, _ORDER, _CONFIG, _LOG, _SUMMARY = "script.js", "order.json", "config.json", "k6.log", "summary.json"


async def k6(
    order: LoadOrder,
    *,
    on_spawn: Callable[[int], None],
    on_second: Callable[[LoadSecond], None],
    task_status: trio.TaskStatus[LoadStarted] = trio.TASK_STATUS_IGNORED,
) -> LoadFacts:
    """Offer one stage with k6; see `runner.load.engine.Engine`."""
    _refuse_what_k6_lacks(order.load)
    path, version = await find_k6()
    plan = plan_of(order)
    with _private_folder(order, plan) as folder:
        port = free_port()
        api = Api(port)
        process = await _start(path, port, folder, order)
        try:
            on_spawn(process.pid)
            await _wait_ready(process, api, folder, order.inputs.values)
            schedule = Schedule(plan, process, api, on_second, order.seconds)
            task_status.started(LoadStarted((process.pid,), schedule.window))
            await schedule.run()
        finally:
            await process.stop()
            api.close()
        return _facts(schedule, version, _read_totals(folder, plan))


def _refuse_what_k6_lacks(load: Load) -> None:
    """Check again what validation has refused already: a stage must not run with other settings.

    Raises:
        EnvironmentLacks: k6 cannot offer this load.
    """
    wrong = [
        setting
        for setting, is_set in (
            ("arrivals: poisson", load.arrivals != "constant"),
            ("when_full: queue", load.when_full != "drop"),
        )
        if is_set
    ]
    if wrong:
        raise EnvironmentLacks(f"k6 cannot offer {' and '.join(wrong)}", hint="use load.engine: builtin")


def _script(order: LoadOrder, plan: Plan) -> dict[str, bytes]:
    """Return the files that `k6 run` needs; they also go into the archive."""
    script = resources.files(__package__).joinpath(_SCRIPT).read_bytes()
    files = {_SCRIPT: script, _ORDER: json.dumps(script_order(order, plan)).encode()}
    if order.keep:
        order.keep(f"k6-{_SCRIPT}", script)
        order.keep(f"k6-{order.stage.name}-{_ORDER}", files[_ORDER])
    return files


@contextmanager
def _private_folder(order: LoadOrder, plan: Plan) -> Iterator[Path]:
    """Make the folder that k6 reads and writes; it is private because requests may hold secrets."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="loadproof-k6-", ignore_cleanup_errors=True)
    except OSError as error:
        raise EnvironmentLacks(f"cannot create a temporary folder for k6: {error.strerror}") from error
    with folder as name:
        path = Path(name)
        try:
            for file, content in _script(order, plan).items():
                path.joinpath(file).write_bytes(content)
            path.joinpath(_CONFIG).write_text("{}", encoding="utf-8")
        except OSError as error:
            raise EnvironmentLacks(f"cannot write k6's script to {name}: {error.strerror}") from error
        yield path


async def _start(path: str, port: int, folder: Path, order: LoadOrder) -> K6Process:
    """Start k6 paused, without the user's configuration, telemetry or cloud; secrets are in its environment.

    Raises:
        EnvironmentLacks: It cannot be started.
    """
    command = [path, "run", "--paused", "--quiet", "--no-color", "--no-usage-report", "--no-thresholds"]
    command += ["--no-setup", "--no-teardown", "--address", f"127.0.0.1:{port}", "--config", _CONFIG]
    command += ["--log-output", f"file={_LOG},level=error", _SCRIPT]
    tls = order.endpoint.tls
    own = {"SSL_CERT_FILE": tls.ca_file} if tls and tls.ca_file else {}
    own |= environment_of(order.inputs.values)
    try:
        return await spawn(command, cwd=folder, env=environment() | own)
    except OSError as error:
        raise EnvironmentLacks(f"{path} cannot be started: {error.strerror}") from error


async def _wait_ready(process: K6Process, api: Api, folder: Path, values: Mapping[str, Constant]) -> None:
    """Wait until all virtual users exist.

    Raises:
        EnvironmentLacks: k6 ended before that, or takes too long.
    """
    ready = False

    async def poll_until_ready() -> None:
        nonlocal ready
        beat = trio.current_time()
        while not await api.is_ready():
            beat = max(beat + _READY_BEAT_S, trio.current_time())
            await trio.sleep_until(beat)
        ready = True

    with trio.move_on_after(READY_S):
        await run_while_alive(process, poll_until_ready)
    if ready:
        return
    code = process.process.returncode
    fault = f"was not ready within {READY_S:.0f} s" if code is None else f"exited at once with code {code}"
    raise EnvironmentLacks(
        f"k6 {fault}",
        hint="its last output follows; load.engine: builtin needs no k6",
        details=mask_lines((*process.tail(), *_log_tail(folder)), _texts(values)),
    )


def _texts(values: Mapping[str, Constant]) -> dict[str, str]:
    return {name: value for name, value in values.items() if isinstance(value, str)}


def _log_tail(folder: Path) -> tuple[str, ...]:
    try:
        lines = folder.joinpath(_LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    return tuple(lines[-10:])


def _read_totals(folder: Path, plan: Plan) -> Totals | None:
    try:
        return read_summary(folder.joinpath(_SUMMARY).read_text(encoding="utf-8"), plan)
    except (OSError, ValueError):
        return None


def _facts(schedule: Schedule, version: str, totals: Totals | None) -> LoadFacts:
    """Correct the seconds by the summary's totals, and report those that were not reported yet."""
    plan, live = schedule.plan, schedule.timeline.seconds
    seconds = tuple(live) if totals is None else corrected(live, totals, plan.window_s)
    for second in seconds:
        schedule.report(second)
    lost = schedule.lost
    if totals is None and lost is None:
        lost = "k6 exited without a readable summary"
    began_ms = totals.began_ms if totals else None
    late_ms = None if began_ms is None else schedule.late_ms(began_ms)
    return load_facts(plan, version, seconds, Ending(lost, totals, late_ms, schedule.silence_s))
