"""Programs on this host that are not part of the experiment, and the CPU that they use."""
