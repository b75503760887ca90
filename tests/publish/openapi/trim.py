"""Cuts GitHub's OpenAPI description down to the operations that `runner comment` uses.

    npm pack @octokit/openapi@23.0.2 && tar xzf octokit-openapi-*.tgz
    python tests/publish/openapi/trim.py package tests/publish/openapi

Writes github.json (operations, and the components that they refer to) and LICENSE beside it.
"""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

OPERATIONS = {
    "/user": ["get"],
    "/repos/{owner}/{repo}/issues/{issue_number}/comments": ["get", "post"],
    "/repos/{owner}/{repo}/issues/comments/{comment_id}": ["patch", "delete"],
    "/repos/{owner}/{repo}/pulls": ["get"],
}
REFERENCE = re.compile(r"#/components/([^/]+)/(.+)")


def trim(whole: dict[str, Any], version: str) -> dict[str, Any]:
    """The description with these operations only; nothing in what remains is changed but prose."""
    paths = {
        path: {method: _quiet(whole["paths"][path][method]) for method in methods}
        for path, methods in OPERATIONS.items()
    }
    kept: dict[str, dict[str, Any]] = {}
    waiting = list(_references(paths))
    while waiting:
        kind, name = waiting.pop()
        if name not in kept.setdefault(kind, {}):
            part = _quiet(whole["components"][kind][name])
            kept[kind][name] = part
            waiting += _references(part)
    info = {**whole["info"], "x-cut-from": f"@octokit/openapi {version}, api.github.com.json"}
    return {
        "openapi": whole["openapi"],
        "info": info,
        "servers": whole["servers"],
        "paths": paths,
        "components": {kind: dict(sorted(parts.items())) for kind, parts in sorted(kept.items())},
    }


def _references(part: Any) -> list[tuple[str, str]]:
    if isinstance(part, dict):
        found = [match.groups() for match in [REFERENCE.fullmatch(str(part.get("$ref", "")))] if match]
        return [*found, *(each for value in part.values() for each in _references(value))]
    if isinstance(part, list):
        return [each for value in part for each in _references(value)]
    return []


def _quiet(part: Any) -> Any:
    """Without documentation and without example bodies beyond those of issue comments."""
    if isinstance(part, dict):
        return {key: _quiet(value) for key, value in part.items() if key not in {"x-github", "externalDocs"}}
    if isinstance(part, list):
        return [_quiet(value) for value in part]
    return part


def main(package: Path, out: Path) -> None:
    version = json.loads((package / "package.json").read_text())["version"]
    whole = json.loads((package / "generated" / "api.github.com.json").read_text())
    text = json.dumps(trim(whole, version), indent=1, ensure_ascii=False)
    (out / "github.json").write_text(text + "\n")
    shutil.copyfile(package / "LICENSE", out / "LICENSE")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
