"""Runs an agent's observation in namespaces of its own, as in a container; needs root."""

import json
import secrets
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

REPOSITORY = Path(__file__).parents[3]
_MOUNTS = (
    'mount --rbind /proc "$0/proc" && mount --rbind /sys "$0/sys" && mount -t proc proc /proc && '
    'exec "$1" -m tests.observe.node.boxed_agent "$0"'
)


def observed_from_a_box(placed, window_s, interval_s=0.25, before=()):
    """Return the samples and the facts of an observation.

    Args:
        placed: Parts, as the runner names them.
        window_s: Length of the window.
        before: Further words before the command, such as a control-group namespace.
    """
    order = {
        "run_id": secrets.token_hex(8),  # other tests may have a hub of a fixed name on this machine
        "placed": placed,
        "interval_s": interval_s,
        "window_ns": round(window_s * 1e9),
    }
    with (
        TemporaryDirectory() as folder
    ):  # for mounts, which vanish with the box; other users may look into it
        Path(folder).chmod(0o755)
        for name in ("proc", "sys"):
            (Path(folder) / name).mkdir()
        done = subprocess.run(
            [*before, "unshare", "--pid", "--fork", "--kill-child=KILL", "--net", "--mount",
             "sh", "-c", _MOUNTS, folder, sys.executable],
            input=json.dumps(order) + "\n", capture_output=True, text=True, check=False, cwd=REPOSITORY,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *samples, facts = map(json.loads, done.stdout.splitlines())
    return samples, facts


def hierarchies():
    """Return where the hierarchies that count CPU and memory are mounted."""
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists():
        return {root}
    return {path.resolve() for name in ("cpuacct", "cpu", "memory") if (path := root / name).is_dir()}


@contextmanager
def group_of(name, *pids):
    """A control group below the root, such as the one of a container, with these processes."""
    folders = [hierarchy / name for hierarchy in hierarchies()]
    for folder in folders:
        folder.mkdir(parents=True)
        for pid in pids:
            (folder / "cgroup.procs").write_text(str(pid))
    try:
        yield folders
    finally:
        remove(folders)


def remove(folders):
    """Remove groups; their processes go to the group above."""
    for folder in folders:
        for pid in (folder / "cgroup.procs").read_text().split():
            (folder.parent / "cgroup.procs").write_text(pid)
        folder.rmdir()


def move_into(folders):
    """Return words before a command that put it into groups first."""
    script = "".join(f'echo $$ > "{folder}/cgroup.procs"; ' for folder in folders)
    return [shutil.which("sh"), "-c", f'{script}exec "$0" "$@"']
