"""The chart worker with less memory than the library needs."""

import sys

from runner.store import chart_worker

chart_worker._MAX_MEMORY_BYTES = 64 * 1024**2
chart_worker.main(sys.argv[1])
