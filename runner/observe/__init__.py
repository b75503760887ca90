"""The witnesses: counters of processes, control groups and the host."""
