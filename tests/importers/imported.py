"""Imports a text, and checks what every import must guarantee."""

from pathlib import Path

import yaml

from runner.experiment.load import read_spec
from runner.importers.fitting import fitted
from runner.importers.recognise import draft_of
from runner.importers.spec_text import default_name, spec_text

FILES = Path(__file__).parent / "files"
URL = "http://127.0.0.1:8080"


class Imported:
    """What a file became.

    Attributes:
        draft: What was read.
        text: The specification, which is valid.
        load: Its key `load`.
    """

    def __init__(self, content: bytes, url: str = "") -> None:
        from dataclasses import replace

        draft = draft_of(content)
        self.draft = fitted(replace(draft, url=url or draft.url or URL))
        self.text = spec_text(self.draft, default_name(self.draft, "file"), "file")
        self.experiment = read_spec(self.text.encode(), source="spec.yaml")
        self.load = yaml.safe_load(self.text)["load"]

    @property
    def comments(self) -> str:
        return "".join(line for line in self.text.splitlines(keepends=True) if line.startswith("#"))

    @property
    def steps(self) -> list[dict]:
        return self.load["scenarios"][0]["steps"]

    def request(self, name: str) -> dict:
        named = [*self.load.get("requests", ()), *(one["request"] for one in self._all_steps())]
        return next(one for one in named if one["name"] == name)

    def extract(self, name: str) -> dict:
        return next(one.get("extract", {}) for one in self._all_steps() if one["request"]["name"] == name)

    def _all_steps(self):
        for scenario in self.load.get("scenarios", ()):
            for step in scenario["steps"]:
                yield from (inner for one in step.get("choose", ()) for inner in one["steps"])
                if "request" in step:
                    yield step


def imported(name: str, url: str = "") -> Imported:
    """Return what one of the files here becomes."""
    return Imported((FILES / name).read_bytes(), url)
