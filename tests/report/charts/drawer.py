"""Draws charts as the process of the program does, but any number of times.

Its start takes longer than a chart. It reads a JSON array of specifications from each line, and writes a line
for each chart.
"""

import json
import sys

from runner.report.charts.chart import VEGA_LITE
from runner.store.chart_worker import _svg

for line in sys.stdin:
    for spec in json.loads(line):
        print(json.dumps(_svg(spec, VEGA_LITE)), flush=True)
