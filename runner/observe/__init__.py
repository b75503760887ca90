"""Monitoring: counters of processes, control groups, network namespaces and the host."""
