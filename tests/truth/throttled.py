"""Runs a program in a control group that may do so many writes a second on the disk of the current folder.

python throttled.py WRITES_PER_S COMMAND...
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
JOIN = 'echo 0 >"$0" && exec "$@"'


def can_throttle():
    """Return whether this user may make control groups that limit I/O, and temporary files are on a disk."""
    if not (disk(Path(tempfile.gettempdir())) / "dev").exists():
        return False
    if (ROOT / "blkio").is_dir():
        return os.access(ROOT / "blkio", os.W_OK)
    enabled = ROOT / "cgroup.subtree_control"
    return os.access(ROOT, os.W_OK) and enabled.exists() and "io" in enabled.read_text().split()


def group():
    """Make a control group; return it, its file for the limit, what to write there, and what lifts it."""
    name = f"loadproof-truth-{os.getpid()}"
    if (ROOT / "blkio").is_dir():
        (folder := ROOT / "blkio" / name).mkdir()
        return folder, folder / "blkio.throttle.write_iops_device", "{device} {writes}", 0
    (folder := ROOT / name).mkdir()
    return folder, folder / "io.max", "{device} wiops={writes}", "max"


def disk(folder):
    """Return what the kernel shows of the whole disk that a folder is on."""
    number = folder.stat().st_dev
    device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve()
    return device.parent if (device / "partition").exists() else device


def main():
    writes, *command = sys.argv[1:]
    folder, file, text, unlimited = group()
    device = (disk(Path()) / "dev").read_text().strip()
    file.write_text(text.format(device=device, writes=writes))
    child = subprocess.Popen(["sh", "-c", JOIN, folder / "cgroup.procs", *command])

    def end(received, _):
        """Pass a signal on, and lift the limit: a database writes when it ends."""
        file.write_text(text.format(device=device, writes=unlimited))
        child.send_signal(received)

    for received in (signal.SIGTERM, signal.SIGINT):
        signal.signal(received, end)
    status = child.wait()
    while True:  # its last processes are still ending
        try:
            folder.rmdir()
        except OSError:
            time.sleep(0.05)
        else:
            sys.exit(status)


if __name__ == "__main__":
    main()
