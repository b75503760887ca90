"""Names of the files of a run, apart from what reads and writes them, which takes long to import."""

from typing import Final

JOURNAL: Final = "journal.ndjson"
RESULTS: Final = "results.json"
RUN: Final = "run.json"
SPEC: Final = "spec.yaml"
LIVE: Final = "live.ndjson"
"""There while the run is in progress."""
MARKDOWN: Final = "report.md"
PAGE: Final = "report.html"
CHARTS: Final = "charts"
"""The folder of the charts; a run without charts has none."""
