"""Several machines as one: agents on nodes, a hub between them and the runner, and their clocks.

Nothing here knows which engine places the programs: `runner.cluster.placement` is the seam. This file imports
nothing, so that hub and agents start light.
"""
