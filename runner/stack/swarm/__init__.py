"""Docker Swarm: an engine of several machines, and the topology `swarm` on it.

The SDK is imported only when it is needed: it costs a fifth of a second.
"""
