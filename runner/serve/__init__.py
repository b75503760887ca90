"""A local, read-only web application over a folder of runs: `runner serve`."""
