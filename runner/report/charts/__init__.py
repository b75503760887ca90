"""Charts of a run: each is one definition, drawn as SVG beside report.md and interactively in report.html."""
