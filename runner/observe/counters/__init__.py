"""The kernel's, the proxy's and the app's own counters, which show the causes of latency and CPU usage."""
