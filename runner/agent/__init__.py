"""The program on each node of a cluster: it runs generator workers there and observes the node.

This file imports nothing, so that it starts light.
"""
