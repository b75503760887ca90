"""How the tests here start installers: without what leads into the repository, with downloads in common."""

import os
import subprocess
from pathlib import Path


def environment(**more) -> dict[str, str]:
    """This process's, without what leads into the repository."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL"))}
    return own | {"PIP_NO_COMPILE": "1", "UV_SYSTEM_CERTS": "1"} | more


def run(*words, statuses=(0,), **keywords) -> subprocess.CompletedProcess:
    done = subprocess.run(
        list(map(str, words)),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        **keywords,
    )
    assert done.returncode in statuses, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def caches(tools: Path) -> dict[str, str]:
    """What lets users with empty homes share downloads."""
    return {"UV_CACHE_DIR": str(tools.parent / "uv-cache"), "PIP_CACHE_DIR": str(tools.parent / "pip-cache")}
