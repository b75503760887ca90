"""Prints what a program can find out about how it was started."""

import gc
import json
import locale
import os
import resource
import sys
from pathlib import Path

status = Path("/proc/self/status").read_text().splitlines()
kinds = sorted(name for name in dir(resource) if name.startswith("RLIMIT_"))
print(
    json.dumps(
        {
            "argv": sys.argv[1:],
            "path": sys.path,
            "name": __name__,
            "flags": list(sys.flags),
            "environ": dict(os.environ),
            "cwd": str(Path.cwd()),
            "leads a session": os.getsid(0) == os.getpid(),
            "group": os.getpgrp() - os.getpid() if os.getsid(0) == os.getpid() else os.getpgrp(),
            "status": [
                one
                for one in status
                if one.startswith(("Umask", "SigBlk", "SigIgn", "SigCgt", "Cpus_allowed_list"))
            ],
            "limits": [resource.getrlimit(getattr(resource, kind)) for kind in kinds],
            "locale": locale.setlocale(locale.LC_ALL),
            "encodings": [sys.getfilesystemencoding(), locale.getpreferredencoding()],
            "streams": [
                [one.encoding, one.errors, one.mode, one.line_buffering, one.isatty(), one.fileno()]
                for one in (sys.stdin, sys.stdout, sys.stderr)
            ],
            "files": [str(Path(f"/proc/self/fd/{fd}").readlink()).split(":")[0] for fd in (0, 1, 2)],
            "more files": [fd for fd in range(3, 64) if Path(f"/proc/self/fd/{fd}").exists()],
            "collects": gc.isenabled(),
            "priority": os.nice(0),
        }
    )
)
