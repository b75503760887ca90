"""The kernel's and the stack's own counters: what shows why, where CPU and latency show what."""
